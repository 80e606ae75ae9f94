// F1: while a unit boots nothing passes, and the rules hold when something is full or has failed. A dataplane that is dead altogether is
// test/hal/linux/dead.test.ts' subject.

import { test } from "tap";
import { HOSTS, Stage, type StageHost } from "../scripts/stage.ts";
import { type Crafted, craft, rule } from "./craft.ts";
import { ONE, Rig, THREE } from "./rig.ts";

const UDP = 17;
const PERMITTED_PORT = 53;
const RULES = [rule(1, { services: [{ protocol: UDP, ports: [PERMITTED_PORT, PERMITTED_PORT], codes: [0, 255] }] })];

function datagram(stage: Stage, from: StageHost, to: StageHost, version: "v4" | "v6", destinationPort: number): Uint8Array {
  return craft({
    protocol: UDP,
    destinationPort,
    source: from[version],
    destination: to[version],
    sourceMac: from.mac,
    destinationMac: stage.nextMac(from, to),
  });
}

for (const version of ["v4", "v6"] as const) {
  for (const mode of ["routed", "transparent"] as const) {
    test(`F1: while a unit boots nothing passes, permitted or not; then the rules decide (IP${version}, ${mode})`, async (t) => {
      const [one, three] = [HOSTS["one"] as StageHost, HOSTS["three"] as StageHost];
      const stage = new Stage({ mode, twin: true, rules: RULES, isBooting: true });
      const isSilent = () => stage.units.every(({ dataplane }) => dataplane.twin?.mayForward === false);
      let rounds = 0;
      for (; rounds < 100; rounds++) {
        stage.put("A", "one", datagram(stage, one, three, version, PERMITTED_PORT));
        stage.put("A", "one", datagram(stage, one, three, version, PERMITTED_PORT + 1));
        stage.put("B", "one", datagram(stage, one, three, version, PERMITTED_PORT));
        if (!isSilent()) break;
        t.same([stage.taken("one"), stage.taken("three")], [[], []]);
        t.same(stage.states(), [], "no session is made");
        t.equal(stage.counter("standby") + stage.counter("rejoining") + stage.counter("backlog-discarded"), 3 * (rounds + 1), "each is counted");
      }
      t.ok(rounds >= 2 && rounds < 100, `they had finished after ${rounds} rounds`);
      stage.boot();
      stage.put("A", "one", datagram(stage, one, three, version, PERMITTED_PORT + 1));
      t.same(stage.taken("three"), []);
      stage.put("A", "one", datagram(stage, one, three, version, PERMITTED_PORT));
      t.equal(stage.taken("three").length, 1);
    });
  }

  const there: Crafted = { protocol: UDP, source: ONE[version], destination: THREE[version] };

  test(`F1: with a full session table a new flow is dropped, permitted or not, and live ones go on (IP${version})`, async (t) => {
    const rig = new Rig({ rules: RULES });
    rig.meetHosts();
    const rows = rig.plan.sessions;
    for (let k = 0; k < rows; k++) rig.fromOne({ ...there, sourcePort: 1_000 + k, destinationPort: PERMITTED_PORT });
    t.equal(rig.seen(1).length, rows);
    rig.fromOne({ ...there, sourcePort: 60_000, destinationPort: PERMITTED_PORT });
    rig.fromOne({ ...there, sourcePort: 60_000, destinationPort: PERMITTED_PORT + 1 });
    t.same(rig.drops(), { "table-full": 1, "policy-deny": 1 });
    t.same(rig.seen(1), []);
    rig.fromOne({ ...there, sourcePort: 1_000, destinationPort: PERMITTED_PORT });
    t.equal(rig.seen(1).length, 1);
    t.equal(rig.lost, 0);
  });

  test(`F1: with a full transmit ring, without packet memory, or with its port down nothing else happens than that packets are dropped (IP${version})`, async (t) => {
    const rig = new Rig({ rules: RULES });
    rig.meetHosts();
    rig.ports[1].full = true;
    rig.fromOne({ ...there, destinationPort: PERMITTED_PORT });
    rig.fromOne({ ...there, destinationPort: PERMITTED_PORT + 1 });
    rig.ports[1].full = false;
    t.same(rig.drops(), { "transmit-full": 1, "policy-deny": 1 });
    const taken: number[] = [];
    while (rig.packets.freeCount > 1) taken.push(rig.packets.take());
    rig.fromOne({ ...there, destinationPort: PERMITTED_PORT + 1 });
    rig.fromOne({ ...there, destinationPort: PERMITTED_PORT });
    t.equal(rig.seen(1).length, 1, "the permitted one alone");
    for (const offset of taken) rig.packets.give(offset);
    rig.ports[1].state = 0;
    rig.fromOne({ ...there, destinationPort: PERMITTED_PORT });
    rig.fromOne({ ...there, destinationPort: PERMITTED_PORT + 1 });
    t.same(rig.drops(), { "transmit-full": 1, "policy-deny": 3, "egress-down": 1 });
    t.same(rig.seen(1), []);
    t.equal(rig.lost, 0);
  });
}
