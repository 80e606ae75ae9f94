// The event ring: the dataplane writes, the store drains, neither waits for the other.
//
//   header.eventHead ─────────────┐ events written since the tables were created
//   events   … │ h-2 │ h-1 │ h │ oldest …      slot = position & (EVENTS - 1)
//
// A slot is valid for position p when its sequence is p + 1: the writer clears the sequence, writes the row, writes the
// sequence, then moves the head. A reader copies the row between two looks at the sequence; what was overwritten
// before it came by is a gap that it counts. A full ring overwrites the oldest event: news is worth more than history here.
//
// A flood (a scan against a logging rule) must not drown the rest, so each kind has its own allowance: bursts of EVENT_BURST, then
// EVENTS_PER_SECOND. What is left out is counted in the next event of its kind, or by `tick` when none follows.

import { EVENT_BURST, EVENTS, EVENTS_PER_SECOND } from "../limits.ts";
import { EVENT_NAMES, eventKind } from "./event-kinds.ts";
import { word } from "./memory/layout.ts";
import { EVENT_TABLE, headerWord, type Tables, type TableView } from "./memory/tables.ts";

export { EVENT_NAMES, EVENT_SENTENCES, EVENT_SEVERITIES, type EventName, eventKind } from "./event-kinds.ts";

const SEQUENCE = word(EVENT_TABLE, "sequence");
const KIND = word(EVENT_TABLE, "kind");
const AT = word(EVENT_TABLE, "at");
const SOURCE = word(EVENT_TABLE, "source");
const RULE = word(EVENT_TABLE, "rule");
const PORT = word(EVENT_TABLE, "port");
const UNIT = word(EVENT_TABLE, "unit");
const VALUE = word(EVENT_TABLE, "value");
const SUPPRESSED = word(EVENT_TABLE, "suppressed");
const HEAD = headerWord("eventHead");
const KINDS_SUPPRESSED = eventKind("events-suppressed");

/** Source, destination, ports and flow lie in this order, in these many words, in events and in both keys of a session. */
export const TUPLE_WORDS = 10;
const INTERVAL_MICROS = 1_000_000 / EVENTS_PER_SECOND;
const BURST_MICROS = EVENT_BURST * INTERVAL_MICROS;

/** The writer's end. One per dataplane; allocates nothing after construction. */
export class EventRing {
  private readonly header: TableView;
  private readonly i: Int32Array;
  private readonly f: Float64Array;
  private readonly stride: number;
  /** Per kind: when its allowance is full again (GCRA's theoretical arrival time). */
  private readonly due = new Float64Array(EVENT_NAMES.length);
  private readonly left = new Int32Array(EVENT_NAMES.length);
  /** 1: some were left out since the last `tick`. */
  anyLeft = 0;

  constructor(tables: Pick<Tables, "header" | "events">) {
    this.header = tables.header;
    this.i = tables.events.i;
    this.f = tables.events.f;
    this.stride = tables.events.strideWords | 0;
  }

  /** Writes an event about a unit, a port or this unit itself. `unit` 0 and `port` -1: none. `value` as the kind's sentence uses it. */
  note(kind: number, nowMicros: number, unit: number, port: number, value: number): void {
    if (!this.allow(kind, nowMicros)) return;
    const at = this.open(kind, nowMicros, unit, port, value);
    this.i.fill(0, at + SOURCE, at + SOURCE + TUPLE_WORDS);
    this.i[at + RULE] = 0;
    this.publish(at);
  }

  /**
   * Writes an event about a flow. `words[tupleAt ...]` holds its tuple as a session's key does: source, destination, ports, flow
   * (words 2 to 11 of a session row). `rule` 0: none.
   */
  noteFlow(kind: number, nowMicros: number, words: Int32Array, tupleAt: number, rule: number, unit: number, port: number): void {
    if (!this.allow(kind, nowMicros)) return;
    const at = this.open(kind, nowMicros, unit, port, 0);
    for (let k = 0; k < TUPLE_WORDS; k = (k + 1) | 0) this.i[at + SOURCE + k] = words[tupleAt + k] as number;
    this.i[at + RULE] = rule;
    this.publish(at);
  }

  /** Now and then (each tick): reports what was left out of kinds that have gone quiet since. */
  tick(nowMicros: number): void {
    this.anyLeft = 0;
    for (let kind = 0; kind < this.left.length; kind = (kind + 1) | 0) {
      if (this.left[kind] === 0) continue;
      if ((this.due[kind] as number) > nowMicros) {
        this.anyLeft = 1;
        continue;
      }
      const at = this.open(KINDS_SUPPRESSED, nowMicros, 0, -1, kind);
      this.i.fill(0, at + SOURCE, at + SOURCE + TUPLE_WORDS);
      this.i[at + RULE] = 0;
      this.i[at + SUPPRESSED] = this.left[kind] as number;
      this.left[kind] = 0;
      this.publish(at);
    }
  }

  /** Token bucket by virtual scheduling (GCRA): one number per kind, no refill step. Counts what it refuses. */
  private allow(kind: number, nowMicros: number): boolean {
    const due = this.due[kind] as number;
    const from = due > nowMicros ? due : nowMicros;
    if (from - nowMicros > BURST_MICROS - INTERVAL_MICROS) {
      this.left[kind] = ((this.left[kind] as number) + 1) | 0;
      this.anyLeft = 1;
      return false;
    }
    this.due[kind] = from + INTERVAL_MICROS;
    return true;
  }

  private open(kind: number, nowMicros: number, unit: number, port: number, value: number): number {
    const at = Math.imul((this.header.i[HEAD] as number) & (EVENTS - 1), this.stride);
    Atomics.exchange(this.i, at + SEQUENCE, 0);
    this.i[at + KIND] = kind;
    this.f[(at + AT) >> 1] = nowMicros;
    this.i[at + PORT] = port;
    this.i[at + UNIT] = unit;
    this.f[(at + VALUE) >> 1] = value;
    this.i[at + SUPPRESSED] = this.left[kind] as number;
    this.left[kind] = 0;
    return at;
  }

  private publish(at: number): void {
    const next = ((this.header.i[HEAD] as number) + 1) | 0;
    Atomics.store(this.i, at + SEQUENCE, next);
    Atomics.store(this.header.i, HEAD, next);
  }
}

/** The reader's end: copies events in order into rows of its own. One per reader; touches nothing that it reads. */
export class EventReader {
  private readonly header: TableView;
  private readonly events: TableView;
  /** The event that the last `next` copied, as a row of EVENT_TABLE. */
  readonly row: Int32Array;
  readonly rowDoubles: Float64Array;
  /** Position of the next event to read. */
  position: number;
  /** Events that were overwritten before this reader came by. */
  missed = 0;

  /** Starts at `position`, or at the oldest event that the ring may still hold. */
  constructor(tables: Pick<Tables, "header" | "events">, position?: number) {
    this.header = tables.header;
    this.events = tables.events;
    const buffer = new ArrayBuffer(tables.events.strideWords * 4);
    this.row = new Int32Array(buffer);
    this.rowDoubles = new Float64Array(buffer);
    const head = Atomics.load(tables.header.i, HEAD);
    this.position = position ?? (head >= 0 && head < EVENTS ? 0 : (head - EVENTS) | 0);
  }

  /** Copies the next event into `row`; false when there is none (yet). Counts a gap in `missed` and goes on behind it. */
  next(): boolean {
    const stride = this.events.strideWords;
    for (;;) {
      const head = Atomics.load(this.header.i, HEAD);
      const waiting = (head - this.position) | 0;
      if (waiting <= 0) return false;
      if (waiting > EVENTS) this.skip(waiting - EVENTS);
      const at = (this.position & (EVENTS - 1)) * stride;
      const expected = (this.position + 1) | 0;
      const before = Atomics.load(this.events.i, at + SEQUENCE);
      for (let k = 0; k < stride; k++) this.row[k] = this.events.i[at + k] as number;
      const after = Atomics.load(this.events.i, at + SEQUENCE);
      const whole = before === expected && after === expected;
      if (whole) this.position = expected;
      else this.skip(1);
      if (whole) return true;
    }
  }

  private skip(count: number): void {
    this.missed += count;
    this.position = (this.position + count) | 0;
  }
}
