// How long to let packets gather before the next breath. A packet that wakes the process costs some 2 us more than one that came with others:
// its wake-up, and a breath of its own. So while many come, the process waits for a moment that no data packet ends, as a NIC does that moderates
// its interrupts; who came first waits for GATHER_MICROS_MOST at the most.
//
//   few packets, or none     `ppoll`: the first one wakes us at once
//   ≥ 100,000 a second       wait until some 20 have come, 100 us at the most, or a twin frame
//   more than we can take    no wait at all: the rings hold a batch already
//
// The rate is that of the last millisecond, so what comes after silence is never kept waiting.

const GATHER_FROM_PER_SECOND = 100_000;
const GATHER_PACKETS = 20;
const GATHER_MICROS_MOST = 100;
/** A breath that moved so many found a batch waiting. */
const BATCH_WAITS = 64;
const WINDOW_MICROS = 1_000;

export class Pace {
  private windowStart = 0;
  private packets = 0;
  private gatherMicros = 0;

  /** After a breath that moved `moved` packets: for how many microseconds to let more of them gather; 0: not at all. */
  breathed(moved: number, nowMicros: number): number {
    this.packets = (this.packets + moved) | 0;
    const elapsed = nowMicros - this.windowStart;
    if (elapsed >= WINDOW_MICROS) {
      const isFast = this.packets * 1e6 >= elapsed * GATHER_FROM_PER_SECOND;
      this.gatherMicros = isFast ? Math.min(GATHER_MICROS_MOST, Math.ceil((GATHER_PACKETS * elapsed) / this.packets)) : 0;
      this.windowStart = nowMicros;
      this.packets = 0;
    }
    return moved === 0 || moved >= BATCH_WAITS ? 0 : this.gatherMicros;
  }
}
