// What units did in a story, so that a long run can say which ways through the firmware it went: their counters and drop
// reasons, and the events that they noted. A unit that loses its memory takes its counts along, so they are taken before.

import { EVENT_NAMES } from "../../firmware/fastpath/event-kinds.ts";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { COUNTER_NAMES, EVENT_TABLE, type Tables } from "../../firmware/fastpath/memory/tables.ts";
import { DROP_NAMES } from "../../firmware/fastpath/verdicts.ts";
import { UNIT_NAMES } from "../../firmware/limits.ts";
import type { Picture } from "./picture.ts";

const NAMES: readonly string[] = [...DROP_NAMES, ...COUNTER_NAMES];
/** What a long run must have met. */
export const WAYS: readonly string[] = [
  "picture gateways",
  "picture upstream",
  "picture one site stands by",
  "picture wires",
  "picture pairs",
  "picture one unit each",
  "keys rotated",
  "secrets changed",
  "handed-off",
  "handed-here",
  "queried",
  "handed-back-judged",
  "handed-back-none",
  "handed-back-owner",
  "emitted-for-peer",
  "sessions-adopted",
  "sessions-lost",
  "conflicts-won",
  "conflicts-yielded",
  "replicas-refused",
  "grants-given",
  "grants-taken",
  "frames-rejected",
  "backlog-discarded",
  "event peer-dead",
  "event peer-partitioned",
  "event succession",
  "event digests-equal",
  "event rows-adopted",
  "event rows-damaged",
  "event table-full",
  "event conflict-resolved",
  "event loop-gap",
];
const E = {
  sequence: word(EVENT_TABLE, "sequence"),
  kind: word(EVENT_TABLE, "kind"),
  unit: word(EVENT_TABLE, "unit"),
  at: word(EVENT_TABLE, "at") >> 1,
  value: word(EVENT_TABLE, "value") >> 1,
};

export interface SeenEvent {
  readonly name: string;
  /** On the unit's clock. */
  readonly atMicros: number;
  readonly other: string;
  readonly value: number;
}

/** What a unit's event ring holds, oldest first. */
export function eventsOf({ events }: Tables): SeenEvent[] {
  const { i, f, strideWords } = events;
  const found: (SeenEvent & { readonly sequence: number })[] = [];
  for (let at = 0; at < i.length; at += strideWords) {
    const sequence = i[at + E.sequence] as number;
    if (sequence === 0) continue;
    const name = EVENT_NAMES[i[at + E.kind] as number] as string;
    const other = UNIT_NAMES[i[at + E.unit] as number] as string;
    found.push({ sequence, name, other, atMicros: f[(at >> 1) + E.at] as number, value: f[(at >> 1) + E.value] as number });
  }
  return found.sort((one, other) => one.sequence - other.sequence);
}

export class Coverage {
  private readonly picture: Picture;
  private readonly found = new Map<string, number>();

  constructor(picture: Picture) {
    this.picture = picture;
    for (const unit of picture.units) unit.onMemoryLost = (tables) => this.take(tables);
  }

  /** All that was found in the story, by name; events are called `event NAME`. */
  sum(): ReadonlyMap<string, number> {
    for (const { tables, life } of this.picture.units) {
      if (tables !== null) this.take(tables);
      this.add("keys rotated", life?.sealer.rotations ?? 0);
    }
    return this.found;
  }

  private take(tables: Tables): void {
    for (const [row, name] of NAMES.entries()) this.add(name, tables.counters.f[row] ?? 0);
    for (const { name } of eventsOf(tables)) this.add(`event ${name}`, 1);
  }

  private add(name: string, count: number): void {
    if (count > 0) this.found.set(name, (this.found.get(name) ?? 0) + count);
  }
}
