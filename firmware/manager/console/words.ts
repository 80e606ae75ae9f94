// Numbers for people: thousands separated, durations and bytes in the unit that suits them.

/** 1204 → "1,204". */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** 67108864 → "64.0 MiB". */
export function bytes(value: number): string {
  let scaled = value;
  let unit = 0;
  while (scaled >= 1024 && unit < BYTE_UNITS.length - 1) {
    scaled /= 1024;
    unit++;
  }
  return unit === 0 ? `${count(value)} B` : `${scaled.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

/** Milliseconds in the two largest units that matter: "0.2 ms", "340 ms", "3.2 s", "2 min 4 s", "5 d 3 h". */
export function duration(millis: number): string {
  if (millis < 0) return "0 ms";
  if (millis < 10) return `${millis.toFixed(millis < 1 ? 1 : 0)} ms`;
  if (millis < 1000) return `${Math.round(millis)} ms`;
  if (millis < 60_000) return `${(millis / 1000).toFixed(1)} s`;
  const seconds = Math.floor(millis / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

/** 1 → "1 session", 2 → "2 sessions". */
export function counted(value: number, one: string): string {
  return `${count(value)} ${one}${value === 1 ? "" : "s"}`;
}
