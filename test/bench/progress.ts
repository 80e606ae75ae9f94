// A bar on the last line of the terminal while long work runs; where there is no terminal, a line per step.

const CELLS = 24;

/** Says how far a benchmark is: `share` 0..1, and what it does now. */
export function showProgress(benchmark: string, share: number, what: string): void {
  if (!process.stderr.isTTY) {
    process.stderr.write(`bench ${benchmark}: ${Math.round(share * 100)} % ${what}\n`);
    return;
  }
  const full = Math.round(share * CELLS);
  const bar = "█".repeat(full) + "░".repeat(CELLS - full);
  const width = process.stderr.columns ?? 80;
  process.stderr.write(`\r\x1b[2K${`${benchmark} ${bar} ${String(Math.round(share * 100)).padStart(3)} % ${what}`.slice(0, width - 1)}`);
}

/** Takes the bar away. */
export function endProgress(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[2K");
}
