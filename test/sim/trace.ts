// What happened in a world. Everything goes into a running hash (the same seed must give the same one); of frames only the
// last few thousand are kept, as they are, and are put into words when somebody asks.

import { describeFrame } from "./packets.ts";

const FRAMES_KEPT = 3_000;
const NOTES_KEPT = 400;
/** Every so many bytes of a frame enter the hash; sealed frames differ everywhere. */
const HASH_STEP = 5;

interface Entry {
  readonly atMicros: number;
  readonly order: number;
  readonly place: string;
  readonly frame: Uint8Array | null;
}

export class Trace {
  private value = 0x811c9dc5;
  private order = 0;
  private readonly frames: Entry[] = [];
  private readonly notes: Entry[] = [];
  /** Called for each note, as it is made. */
  onNote: ((line: string) => void) | null = null;

  /** Hash of all that happened so far: 8 hex digits. */
  get hash(): string {
    return (this.value >>> 0).toString(16).padStart(8, "0");
  }

  note(atMicros: number, text: string): void {
    this.mix(atMicros);
    for (let k = 0; k < text.length; k++) this.mix(text.charCodeAt(k));
    this.keep(this.notes, NOTES_KEPT, { atMicros, order: this.order++, place: text, frame: null });
    this.onNote?.(line({ atMicros, order: 0, place: text, frame: null }));
  }

  frame(atMicros: number, place: string, frame: Uint8Array): void {
    this.mix(atMicros);
    this.mix(frame.length);
    for (let k = 0; k < frame.length; k += HASH_STEP) this.mix(frame[k] as number);
    this.keep(this.frames, FRAMES_KEPT, { atMicros, order: this.order++, place, frame });
  }

  /** The last `count` lines in order; notes are kept longer than frames. */
  tail(count: number): string[] {
    return [...this.frames.slice(-count), ...this.notes].sort((one, other) => one.order - other.order).map(line);
  }

  private mix(value: number): void {
    this.value = Math.imul(this.value ^ (value | 0), 0x01000193);
  }

  private keep(list: Entry[], most: number, entry: Entry): void {
    list.push(entry);
    if (list.length > 2 * most) list.splice(0, list.length - most);
  }
}

function line({ atMicros, place, frame }: Entry): string {
  const time = (atMicros / 1_000).toFixed(3).padStart(12);
  return frame === null ? `${time} ms  ** ${place}` : `${time} ms  ${place}: ${describeFrame(frame)}`;
}
