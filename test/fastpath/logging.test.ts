// A flood against rules that log: the ring takes an allowance, everything else is counted, and not one event goes missing from
// the count.

import { test } from "tap";
import { EventReader, eventKind } from "../../firmware/fastpath/events.ts";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { EVENT_TABLE } from "../../firmware/fastpath/memory/tables.ts";
import { EVENT_BURST, EVENTS_PER_SECOND } from "../../firmware/limits.ts";
import { rule } from "./craft.ts";
import { ONE, Rig, THREE } from "./rig.ts";

const SYN = 0x02;
const KIND = word(EVENT_TABLE, "kind");
const VALUE = word(EVENT_TABLE, "value") >> 1;
const SUPPRESSED = word(EVENT_TABLE, "suppressed");

/** Events of a kind that the reader finds, and those left out before them or after them. */
function tally(reader: EventReader, kind: number): { written: number; left: number } {
  const result = { written: 0, left: 0 };
  while (reader.next()) {
    const isKind = reader.row[KIND] === kind;
    const isSummary = reader.row[KIND] === eventKind("events-suppressed") && reader.rowDoubles[VALUE] === kind;
    if (isKind) result.written++;
    if (isKind || isSummary) result.left += reader.row[SUPPRESSED] as number;
  }
  return result;
}

for (const [name, event, parts] of [
  ["a rule that denies and logs", "rule-deny", { rules: [rule(1, { action: "deny", log: true })] }],
  ["no rule", "default-deny", { rules: [] }],
  ["the half-open limit", "half-open-limit", { rules: [rule(1)], halfOpenPerDestination: 2 }],
] as const) {
  for (const version of ["v4", "v6"] as const) {
    test(`F2, F9: a flood against ${name} writes an allowance of events and counts the rest (IP${version})`, async (t) => {
      const rig = new Rig(parts);
      rig.meetHosts();
      const reader = new EventReader(rig.tables);
      while (reader.next());
      const sent = 5_000;
      for (let k = 0; k < sent; k++) rig.fromOne({ source: ONE[version], destination: THREE[version], sourcePort: 1_000 + k, flags: SYN, acknowledgement: 0 });
      rig.pass(3_000);
      const { written, left } = tally(reader, eventKind(event));
      t.equal(written + left, event === "half-open-limit" ? sent - 2 : sent, "each is written or counted");
      // Half a second of flood at 100 us a packet.
      t.ok(written <= EVENT_BURST + EVENTS_PER_SECOND, `${written} written`);
      t.equal(reader.missed, 0);
    });
  }
}
