// What would be lost if it failed now, as each unit counts it.

import { test } from "tap";
import { headerWord } from "../../firmware/fastpath/memory/tables.ts";
import { ROW_WORDS, S_REPLICA, S_UNITS } from "../../firmware/fastpath/sessions.ts";
import { Exposure } from "../../firmware/twin/exposure.ts";
import { Unit, Wire } from "./units.ts";

const A1 = 1;
const A2 = 2;
const B1 = 3;

test("sessions are counted by who holds them and where their packets come in", async (t) => {
  const unit = new Unit(new Wire(1), A1, [A2, B1], 4_096);
  const rows = Array.from({ length: 10 }, (_, k) => unit.open(k + 1, 2));
  const i = unit.sessions.i;
  rows.forEach((row, k) => {
    i[row * ROW_WORDS + S_REPLICA] = k < 3 ? 0 : k < 6 ? 1 << A2 : (1 << A2) | (1 << B1);
    i[row * ROW_WORDS + S_UNITS] = k % 2 === 0 ? A1 | (B1 << 8) : A1 | (A2 << 8);
  });
  unit.end(rows[0] as number);
  unit.exchange.journal.drain(unit.wire.nowMicros);
  for (const [stops, link] of [
    [true, 4],
    [false, 0],
  ] as const) {
    const exposure = new Exposure(unit.sessions, unit.exchange.journal.digests, unit.tables.header.i, stops);
    for (let k = 0; k < 2; k++) exposure.tick();
    t.same([exposure.unit, exposure.site, exposure.link], [2, 5, link]);
    t.equal(unit.tables.header.i[headerWord("exposedSite")], 5);
  }
});
