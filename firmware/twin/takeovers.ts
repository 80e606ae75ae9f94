// Each takeover as one event, when the first packet has left: how long the unit had been silent when that was decided, and how long
// the first packet took from there.

import { eventKind, takeoverValue } from "../fastpath/event-kinds.ts";
import type { EventRing } from "../fastpath/events.ts";
import { counterRow, type Tables } from "../fastpath/memory/tables.ts";

const EVENT_TAKEOVER = eventKind("takeover");
const C_TAKEOVERS = counterRow("takeovers");
const C_FORWARDED = counterRow("forwarded");
const C_FOR_PEER = counterRow("emitted-for-peer");

export class Takeovers {
  private readonly events: Pick<EventRing, "note">;
  private readonly counters: Float64Array;
  private unit = 0;
  private decidedMicros = 0;
  private silentMicros = 0;
  private sentBefore = 0;

  constructor(events: Pick<EventRing, "note">, tables: Pick<Tables, "counters">) {
    this.events = events;
    this.counters = tables.counters.f;
  }

  /** This unit succeeds `unit`, which had been silent for so long (0: it gave way). One that is under way goes on to count from its own decision. */
  decided(unit: number, silentMicros: number, nowMicros: number): void {
    this.counters[C_TAKEOVERS] = (this.counters[C_TAKEOVERS] as number) + 1;
    this.unit = unit;
    this.silentMicros = silentMicros;
    this.decidedMicros = nowMicros;
    this.sentBefore = this.sent;
  }

  /** Each breath, after the batch. */
  tick(nowMicros: number): void {
    if (this.unit === 0 || this.sent === this.sentBefore) return;
    this.events.note(EVENT_TAKEOVER, nowMicros, this.unit, -1, takeoverValue(this.silentMicros, nowMicros - this.decidedMicros));
    this.unit = 0;
  }

  private get sent(): number {
    return (this.counters[C_FORWARDED] as number) + (this.counters[C_FOR_PEER] as number);
  }
}
