// A dataplane that crashed and came back: the rows that it finds are its own, and traffic goes on.

import { test } from "tap";
import { headerWord } from "../../firmware/fastpath/memory/tables.ts";
import { ROW_WORDS, S_GENERATION } from "../../firmware/fastpath/sessions.ts";
import { rule } from "./craft.ts";
import { ONE, Rig, type Seen, THREE } from "./rig.ts";

const UDP = 17;
const SYN = 0x02;
const ACK = 0x10;
const PLAN = { rules: [rule(1, { fromZones: [1] })] };

for (const version of ["v4", "v6"] as const) {
  test(`established sessions go on after a crash, with their windows, and without asking for neighbours again (IP${version})`, async (t) => {
    const there = { source: ONE[version], destination: THREE[version] };
    const back = { source: THREE[version], destination: ONE[version], sourcePort: 80, destinationPort: 40_000 };
    const first = new Rig(PLAN);
    first.meetHosts();
    first.fromOne({ ...there, flags: SYN, sequence: 100, acknowledgement: 0 });
    first.fromThree({ ...back, flags: SYN | ACK, sequence: 900, acknowledgement: 101 });
    first.fromOne({ ...there, flags: ACK, sequence: 101, acknowledgement: 901 });
    first.fromOne({ ...there, protocol: UDP });

    const second = new Rig(PLAN, first);
    t.equal(second.header("sessionsLive"), 2);
    t.equal(second.header("sessionsOwned"), 2);
    t.equal(second.header("starts"), 2);
    second.fromThree({ ...back, flags: ACK, sequence: 901, acknowledgement: 101, payload: [1, 2, 3] });
    second.fromOne({ ...there, flags: ACK, sequence: 101, acknowledgement: 904, payload: [4] });
    second.fromThree({ ...back, protocol: UDP });
    const left = second.seen(0);
    t.equal(left.length, 2);
    t.ok(left.every((packet: Seen) => packet.fault === ""));
    t.equal(second.seen(1).length, 1);
    second.fromThree({ ...back, flags: ACK, sequence: 9_000_000, acknowledgement: 101 });
    t.same(second.drops(), { "tcp-out-of-window": 1 });
    t.equal(second.counter("sessions-created"), 2, "none was made anew");
    t.equal(second.lost, 0);
  });
}

test("a row that was being written is freed; its flow meets the policy; the others live", async (t) => {
  const first = new Rig(PLAN);
  first.meetHosts();
  for (const sourcePort of [1_000, 1_001, 1_002]) first.fromOne({ protocol: UDP, sourcePort });
  const rows = first.tables.sessions.i;
  const torn = Array.from({ length: first.plan.sessions }, (_, row) => row).find((row) => rows[row * ROW_WORDS + S_GENERATION] !== 0) as number;
  rows[torn * ROW_WORDS + S_GENERATION] = (rows[torn * ROW_WORDS + S_GENERATION] as number) | 1;
  const second = new Rig(PLAN, first);
  t.equal(second.header("sessionsLive"), 2);
  for (const destinationPort of [1_000, 1_001, 1_002]) second.fromThree({ protocol: UDP, sourcePort: 80, destinationPort });
  t.equal(second.seen(0).length, 2);
  t.same(second.drops(), { "policy-deny": 1 });
  t.equal(second.lost, 0);
});

test("an adopted session expires when it would have, and new ones get ids that no earlier one had", async (t) => {
  const first = new Rig(PLAN);
  first.meetHosts();
  first.fromOne({ protocol: UDP });
  first.pass(60_000, 500);
  const serial = first.tables.header.i[headerWord("serialLow")] as number;
  const second = new Rig(PLAN, first);
  second.fromOne({ protocol: UDP, sourcePort: 5 });
  t.equal(second.tables.header.i[headerWord("serialLow")], serial + 1);
  second.pass(61_000, 500);
  t.same(second.states(), ["udp-one-way"], "the second one");
  t.equal(second.lost, 0);
});
