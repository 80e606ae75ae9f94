// The simulator's time: events in a heap, ordered by time and then by the order in which they were asked for. Nothing
// happens between events; time jumps from one to the next. All clocks of a world derive from one schedule.

import type { Clock, Idle } from "../contracts.ts";

/** One thing that will happen. */
export class Timer {
  readonly atMicros: number;
  readonly order: number;
  private action: (() => void) | null;

  constructor(atMicros: number, order: number, action: () => void) {
    this.atMicros = atMicros;
    this.order = order;
    this.action = action;
  }

  cancel(): void {
    this.action = null;
  }

  fire(): void {
    const action = this.action;
    this.action = null;
    action?.();
  }
}

export class Schedule {
  nowMicros = 0;
  private readonly heap: Timer[] = [];
  private asked = 0;

  /** Events that wait, cancelled ones included. */
  get waiting(): number {
    return this.heap.length;
  }

  /** Calls `action` at a time; at once (after what is due already) when that has passed. */
  at(atMicros: number, action: () => void): Timer {
    const timer = new Timer(Math.max(atMicros, this.nowMicros), this.asked++, action);
    this.push(timer);
    return timer;
  }

  after(delayMicros: number, action: () => void): Timer {
    return this.at(this.nowMicros + delayMicros, action);
  }

  /** Lets time pass up to and including `untilMicros`; `observe` is called after each event. */
  run(untilMicros: number, observe?: () => void): void {
    for (;;) {
      const next = this.heap[0];
      if (next === undefined || next.atMicros > untilMicros) break;
      this.pop();
      this.nowMicros = next.atMicros;
      next.fire();
      if (observe !== undefined) observe();
    }
    this.nowMicros = Math.max(this.nowMicros, untilMicros);
  }

  private push(timer: Timer): void {
    const heap = this.heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(timer, heap[parent] as Timer)) break;
      heap[at] = heap[parent] as Timer;
      at = parent;
    }
    heap[at] = timer;
  }

  private pop(): void {
    const heap = this.heap;
    const last = heap.pop() as Timer;
    const count = heap.length;
    if (count === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= count) break;
      if (child + 1 < count && before(heap[child + 1] as Timer, heap[child] as Timer)) child++;
      if (!before(heap[child] as Timer, last)) break;
      heap[at] = heap[child] as Timer;
      at = child;
    }
    heap[at] = last;
  }
}

function before(one: Timer, other: Timer): boolean {
  return one.atMicros < other.atMicros || (one.atMicros === other.atMicros && one.order < other.order);
}

/** A unit's clock: starts where it likes and runs a little fast or slow. */
export class DriftingClock implements Clock {
  private readonly schedule: Schedule;
  private startMicros: number;
  private bornMicros: number;
  private rate: number;

  /** `startMicros`: what it shows now. `driftPpm`: microseconds that it gains per second. */
  constructor(schedule: Schedule, startMicros = 0, driftPpm = 0) {
    this.schedule = schedule;
    this.bornMicros = schedule.nowMicros;
    this.startMicros = startMicros;
    this.rate = 1 + driftPpm / 1e6;
  }

  /** From now on it gains `ppm` microseconds per second. */
  drift(ppm: number): void {
    this.startMicros = this.nowMicros();
    this.bornMicros = this.schedule.nowMicros;
    this.rate = 1 + ppm / 1e6;
  }

  nowMicros(): number {
    return this.startMicros + Math.floor((this.schedule.nowMicros - this.bornMicros) * this.rate);
  }
}

/** Waiting costs nothing here: the world breathes a unit when it is time. */
export const simulatedIdle: Idle = { rest: () => {} };
