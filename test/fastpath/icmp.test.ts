// Datagrams and ICMP through a unit: idle times, queries and answers, and which errors reach whom (N2–N5, V1).

import { test } from "tap";
import type { Plan } from "../../firmware/plan.ts";
import { type Crafted, craft, rule } from "./craft.ts";
import { ONE, Rig, type Seen, THREE } from "./rig.ts";

const ICMP = 1;
const UDP = 17;
const ICMPV6 = 58;
const SYN = 0x02;
const ACK = 0x10;
const MINUTE = 60_000;

function known(parts: ConstructorParameters<typeof Rig>[0] = {}): Rig {
  const rig = new Rig({ rules: [rule(1, { fromZones: [1] })], ...parts });
  rig.meetHosts();
  return rig;
}

/** What reached host ONE since the last call, without the unit's own neighbour discovery. */
function arrived(rig: Rig): Seen[] {
  return rig.seen(0).filter((packet) => packet.protocol !== ICMPV6 || packet.frame[packet.at] !== 135);
}

for (const version of ["v4", "v6"] as const) {
  const of = `(IP${version})`;
  const there = { source: ONE[version], destination: THREE[version] };
  const back = { source: THREE[version], destination: ONE[version], sourcePort: 80, destinationPort: 40_000 };
  const protocol = version === "v4" ? ICMP : ICMPV6;
  const quotedUdp = craft({ ...there, protocol: UDP }).subarray(14);
  const quotedTcp = craft({ ...there, flags: ACK, sequence: 101, acknowledgement: 901 }).subarray(14);
  const error = (type: number, code: number, quoted: Uint8Array): Crafted => ({
    source: THREE[version],
    destination: ONE[version],
    protocol,
    type,
    code,
    rest: [0, 0, 5, 0],
    payload: [...quoted],
  });

  test(`N2: a datagram without an answer is remembered for two minutes, with answers for five; each packet either way begins the time anew ${of}`, async (t) => {
    const rig = known();
    rig.fromOne({ ...there, protocol: UDP });
    rig.pass(2 * MINUTE - 1_000, 500);
    t.same(rig.states(), ["udp-one-way"]);
    rig.fromOne({ ...there, protocol: UDP });
    rig.pass(2 * MINUTE - 1_000, 500);
    rig.fromThree({ ...back, protocol: UDP });
    t.same(rig.states(), ["udp-both-ways"]);
    rig.pass(5 * MINUTE - 1_000, 500);
    rig.fromOne({ ...there, protocol: UDP });
    rig.pass(5 * MINUTE - 1_000, 500);
    rig.fromThree({ ...back, protocol: UDP });
    rig.pass(5 * MINUTE - 1_000, 500);
    t.same(rig.states(), ["udp-both-ways"]);
    rig.pass(2_000, 500);
    t.same(rig.states(), []);
  });

  test(`N3: a ping is remembered for a minute ${of}`, async (t) => {
    const rig = known();
    const [question, answer] = version === "v4" ? [8, 0] : [128, 129];
    rig.fromOne({ ...there, protocol, type: question });
    rig.pass(MINUTE - 1_000, 500);
    // What the gateways say of themselves each minute.
    arrived(rig);
    rig.fromThree({ source: THREE[version], destination: ONE[version], protocol, type: answer });
    t.equal(arrived(rig).length, 1);
    rig.pass(MINUTE + 1_000, 500);
    t.same(rig.states(), []);
    arrived(rig);
    rig.fromThree({ source: THREE[version], destination: ONE[version], protocol, type: answer });
    t.equal(arrived(rig).length, 0);
  });

  const codes = (type: number, first: number, last: number) => Array.from({ length: last - first + 1 }, (_, k) => [type, first + k] as const);
  const passing =
    version === "v4"
      ? [...codes(3, 0, 13), ...codes(11, 0, 1), ...codes(12, 0, 0)]
      : [...codes(1, 0, 6), ...codes(2, 0, 0), ...codes(3, 0, 1), ...codes(4, 0, 2)];

  test(`V1, N4: every error about a live flow passes and ends nothing, whatever the rules say of ICMP ${of}`, async (t) => {
    const rig = known({
      rules: [
        rule(1, {
          fromZones: [1],
          services: [
            { protocol: UDP, ports: [80, 80], codes: [0, 255] },
            { protocol: 6, ports: [80, 80], codes: [0, 255] },
          ],
        }),
      ],
    });
    rig.fromOne({ ...there, protocol: UDP });
    rig.fromOne({ ...there, flags: SYN, sequence: 100, acknowledgement: 0 });
    rig.fromThree({ ...back, flags: SYN | ACK, sequence: 900, acknowledgement: 101 });
    rig.fromOne({ ...there, flags: ACK, sequence: 101, acknowledgement: 901 });
    rig.seen(0);
    for (const quoted of [quotedUdp, quotedTcp]) {
      for (const [type, code] of passing) {
        rig.fromThree(error(type, code, quoted));
        const [seen] = arrived(rig);
        t.same([seen?.frame[seen.at], seen?.frame[seen.at + 1]], [type, code]);
      }
    }
    t.same(rig.drops(), {});
    t.same(rig.states().sort(), ["established", "udp-one-way"]);
  });

  test(`N5: an error passes only for a live flow, towards the sender of the packet, and with a right checksum under any configuration ${of}`, async (t) => {
    const [type, code] = version === "v4" ? [3, 1] : [1, 0];
    for (const checksums of [true, false]) {
      const checks: Partial<Plan["checks"]> = { checksums };
      const rig = known({ checks });
      rig.fromOne({ ...there, protocol: UDP });
      rig.fromThree({ ...error(type, code, quotedUdp), transport: [type, code, 0x12, 0x34, 0, 0, 0, 0, ...quotedUdp] });
      t.same(rig.drops(), { "bad-transport-checksum": 1 }, `checksums ${checksums}`);
      rig.fromThree(error(type, code, craft({ ...there, protocol: UDP, sourcePort: 40_001 }).subarray(14)));
      rig.fromThree(
        error(type, code, craft({ source: THREE[version], destination: ONE[version], protocol: UDP, sourcePort: 80, destinationPort: 40_000 }).subarray(14)),
      );
      t.same(rig.drops(), { "bad-transport-checksum": 1, "icmp-unmatched": 2 });
      rig.fromThree(error(type, code, quotedUdp));
      t.equal(arrived(rig).length, 1);
      rig.pass(2 * MINUTE + 1_000, 500);
      rig.meetHosts();
      rig.fromThree(error(type, code, quotedUdp));
      t.equal(arrived(rig).length, 0, "the flow has ended");
    }
  });

  test(`N4: errors do not keep a session alive either ${of}`, async (t) => {
    const rig = known();
    rig.fromOne({ ...there, protocol: UDP });
    for (let k = 0; k < 5; k++) {
      rig.pass(MINUTE / 2, 500);
      rig.fromThree(error(version === "v4" ? 3 : 1, 1, quotedUdp));
    }
    t.same(rig.states(), []);
  });
}
