// The judge in its engine: what the policy says, how sessions live and end, and what follows a session through the unit.

import { test } from "tap";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { RULE_TABLE } from "../../firmware/fastpath/memory/tables.ts";
import { IDLE_MILLIS } from "../../firmware/limits.ts";
import { macText, u32 } from "../sim/packets.ts";
import { type Crafted, craft, prefix, rule } from "./craft.ts";
import { ONE, Rig, type Seen, THREE } from "./rig.ts";

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ICMPV6 = 58;
const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;

const udpTo = (port: number) => [{ protocol: UDP, ports: [port, port], codes: [0, 255] }] as const;

function known(parts: ConstructorParameters<typeof Rig>[0]): Rig {
  const rig = new Rig(parts);
  rig.meetHosts();
  rig.eventNames();
  return rig;
}

function hits(rig: Rig, number: number): number {
  return rig.tables.rules.f[(number * RULE_TABLE.strideWords + word(RULE_TABLE, "hits")) >> 1] as number;
}

for (const version of ["v4", "v6"] as const) {
  const there = { source: ONE[version], destination: THREE[version] };
  const back = { source: THREE[version], destination: ONE[version], sourcePort: 80, destinationPort: 40_000 };
  const echo = version === "v4" ? ([ICMP, 8, 0] as const) : ([ICMPV6, 128, 129] as const);

  test(`F7: the first rule that matches decides, in either order; its hits are counted (IP${version})`, async (t) => {
    const deny = (number: number) => rule(number, { action: "deny", services: udpTo(80) });
    for (const [rules, passes] of [
      [[rule(1), deny(2)], true],
      [[deny(1), rule(2)], false],
    ] as const) {
      const rig = known({ rules });
      rig.fromOne({ ...there, protocol: UDP });
      t.equal(rig.seen(1).length, passes ? 1 : 0);
      t.equal(hits(rig, 1), 1);
      t.equal(hits(rig, 2), 0);
      t.same(rig.drops(), passes ? {} : { "policy-deny": 1 });
      t.equal(rig.lost, 0);
    }
  });

  test(`F8: what no rule permits is denied, and said (IP${version})`, async (t) => {
    const rig = known({ rules: [rule(1, { fromZones: [3] })] });
    rig.fromOne({ ...there, protocol: UDP });
    t.same(rig.drops(), { "policy-deny": 1 });
    t.same(rig.eventNames(), ["default-deny"]);
    rig.fromThree({ ...back, protocol: UDP });
    t.equal(rig.seen(0).length, 1, "zone three may speak to zone one");
    t.equal(rig.lost, 0);
  });

  test(`F2: a rule's log flag makes an event of each new flow that it permits and each packet that it denies (IP${version})`, async (t) => {
    const rig = known({
      rules: [rule(1, { services: udpTo(80), log: true }), rule(2, { action: "deny", services: udpTo(81), log: true }), rule(3, { action: "deny" })],
    });
    for (const destinationPort of [80, 80, 81, 81, 82]) rig.fromOne({ ...there, protocol: UDP, destinationPort });
    t.same(rig.eventNames(), ["rule-permit 1", "rule-deny 2", "rule-deny 2"]);
    t.equal(rig.lost, 0);
  });

  test(`a rejected SYN is answered with a reset of the destination, other packets with "prohibited" (IP${version})`, async (t) => {
    const rig = known({ rules: [rule(1, { action: "reject" })] });
    rig.fromOne({ ...there, flags: SYN, sequence: 7_000 });
    const [reset] = rig.seen(0) as [Seen];
    t.equal(reset.fault, "");
    t.equal(reset.source.text, THREE[version]);
    t.equal(reset.frame[reset.at + 13], RST | ACK);
    t.equal(u32(reset.frame, reset.at + 8), 7_001);
    t.equal(macText(reset.frame, 6), ONE.siteMac);
    rig.fromOne({ ...there, protocol: UDP });
    const [error] = rig.seen(0) as [Seen];
    t.equal(error.fault, "");
    t.same([error.frame[error.at], error.frame[error.at + 1]], version === "v4" ? [3, 13] : [1, 1]);
    t.same(rig.drops(), { "policy-reject": 2 });
    t.equal(rig.counter("resets-sent"), 1);
    t.equal(rig.counter("icmp-errors-sent"), 1);
    t.equal(rig.lost, 0);
  });

  test(`F3, F4: a TCP session from SYN to its end; afterwards its packets meet the policy (IP${version})`, async (t) => {
    const rig = known({ rules: [rule(1, { fromZones: [1] })] });
    const one = (flags: number, sequence: number, acknowledgement: number, payload: readonly number[] = []) =>
      rig.fromOne({ ...there, protocol: TCP, flags, sequence, acknowledgement, payload });
    const three = (flags: number, sequence: number, acknowledgement: number, payload: readonly number[] = []) =>
      rig.fromThree({ ...back, protocol: TCP, flags, sequence, acknowledgement, payload });
    one(SYN, 100, 0);
    t.same(rig.states(), ["syn-sent"]);
    t.equal(rig.header("halfOpen"), 1);
    three(SYN | ACK, 900, 101);
    t.same(rig.states(), ["syn-received"]);
    one(ACK, 101, 901);
    t.same(rig.states(), ["established"]);
    t.equal(rig.header("halfOpen"), 0);
    one(ACK, 101, 901, [1, 2, 3]);
    three(ACK, 901, 104, [4, 5]);
    t.same([rig.seen(0).length, rig.seen(1).length], [2, 3]);
    t.same(rig.drops(), {});
    three(ACK, 901_000, 104);
    t.same(rig.drops(), { "tcp-out-of-window": 1 });
    one(FIN | ACK, 104, 903);
    t.same(rig.states(), ["fin-wait"]);
    three(ACK, 903, 105);
    t.same(rig.states(), ["close-wait"]);
    three(FIN | ACK, 903, 105);
    t.same(rig.states(), ["last-ack"]);
    one(ACK, 105, 904);
    t.same(rig.states(), ["time-wait"]);
    t.same([rig.seen(0).length, rig.seen(1).length], [2, 2]);
    rig.pass(1_300);
    t.same(rig.states(), [], "F4: time-wait lasts a second");
    t.equal(rig.counter("sessions-ended"), 1);
    one(ACK, 105, 904);
    three(ACK, 904, 105);
    t.same(rig.seen(1), []);
    t.same(rig.drops(), { "tcp-out-of-window": 1, "no-session": 2 });
    three(SYN, 5_000, 0);
    t.equal(rig.drops()["policy-deny"], 1, "zone three may not open");
    rig.pass(4_000);
    t.equal(rig.header("tombstones"), 0);
    t.equal(rig.lost, 0);
  });

  test(`F4: a reset that closes ends the session with the packet that carries it (IP${version})`, async (t) => {
    const rig = known({ rules: [rule(1, { fromZones: [1] })] });
    establish(rig, there, back);
    rig.fromThree({ ...back, flags: RST | ACK, sequence: 901, acknowledgement: 101 });
    t.equal(rig.seen(0).length, 1, "the reset itself passes");
    t.same(rig.states(), []);
    rig.fromOne({ ...there, flags: ACK, sequence: 101, acknowledgement: 901 });
    t.same(rig.seen(1), []);
    t.same(rig.drops(), { "no-session": 1 });
    t.equal(rig.lost, 0);
  });

  test(`a SYN for a tuple in time-wait ends the old session and meets the policy (IP${version})`, async (t) => {
    const rig = known({ rules: [rule(1, { fromZones: [1] })] });
    establish(rig, there, back);
    rig.fromOne({ ...there, flags: FIN | ACK, sequence: 101, acknowledgement: 901 });
    rig.fromThree({ ...back, flags: FIN | ACK, sequence: 901, acknowledgement: 102 });
    rig.fromOne({ ...there, flags: ACK, sequence: 102, acknowledgement: 902 });
    t.same(rig.states(), ["time-wait"]);
    rig.seen(1);
    rig.fromOne({ ...there, flags: SYN, sequence: 50_000 });
    t.equal(rig.seen(1).length, 1);
    t.same(rig.states(), ["syn-sent"]);
    t.equal(rig.counter("sessions-created"), 2);
    t.same(rig.drops(), {});
    t.equal(rig.lost, 0);
  });

  test(`UDP passes both ways and expires after its idle time, longer once it was answered (IP${version})`, async (t) => {
    const rig = known({ rules: [rule(1, { fromZones: [1] })] });
    rig.fromOne({ ...there, protocol: UDP });
    t.same(rig.states(), ["udp-one-way"]);
    rig.fromThree({ ...back, protocol: UDP });
    t.same(rig.states(), ["udp-both-ways"]);
    t.equal(rig.seen(0).length, 1);
    rig.pass(IDLE_MILLIS.udpOneWay + 1_000, 500);
    t.same(rig.states(), ["udp-both-ways"], "N2");
    rig.fromOne({ ...there, protocol: UDP });
    rig.pass(IDLE_MILLIS.udpBothWays - 1_000, 500);
    t.same(rig.states(), ["udp-both-ways"], "the packet began the time anew");
    rig.pass(2_000, 500);
    t.same(rig.states(), []);
    rig.fromThree({ ...back, protocol: UDP });
    t.equal(rig.drops()["policy-deny"], 1, "F4");
    rig.fromOne({ ...there, protocol: UDP, destinationPort: 81 });
    rig.pass(IDLE_MILLIS.udpOneWay + 500, 500);
    t.same(rig.states(), []);
    t.equal(rig.lost, 0);
  });

  test(`N3: an echo's answer passes, an unasked one and a question the other way do not (IP${version})`, async (t) => {
    const [protocol, question, answer] = echo;
    const rig = known({ rules: [rule(1, { fromZones: [1] })] });
    rig.fromOne({ ...there, protocol, type: question });
    t.same(rig.states(), ["icmp-query"]);
    rig.fromThree({ source: THREE[version], destination: ONE[version], protocol, type: answer });
    t.equal(rig.seen(0).length, 1);
    rig.fromThree({ source: THREE[version], destination: ONE[version], protocol, type: question });
    t.same(rig.drops(), { "policy-deny": 1 });
    rig.fromThree({ source: THREE[version], destination: ONE[version], protocol, type: answer, rest: [9, 9, 0, 1] });
    t.same(rig.drops(), { "policy-deny": 2 });
    rig.pass(IDLE_MILLIS.icmpQuery + 200, 200);
    t.same(rig.states(), []);
    t.equal(rig.lost, 0);
  });

  test(`N4, N5, V1: an ICMP error passes for a live flow, from anybody on the way, and ends nothing; any other is dropped (IP${version})`, async (t) => {
    const rig = known({ rules: [rule(1, { fromZones: [1] })] });
    establish(rig, there, back);
    const quoted = craft({ ...there, flags: ACK, sequence: 101, acknowledgement: 901 }).subarray(14);
    const error = { source: THREE[version], destination: ONE[version], protocol: echo[0], type: version === "v4" ? 3 : 1, code: 1, rest: [0, 0, 0, 0] };
    rig.fromThree({ ...error, payload: [...quoted] });
    const [passed] = rig.seen(0) as [Seen];
    t.equal(passed.fault, "");
    t.equal(passed.frame[passed.at], error.type);
    t.equal(passed.ttl, 63);
    t.same(rig.states(), ["established"], "N4");
    t.same(rig.drops(), {});
    const stranger = craft({ ...there, sourcePort: 41_000, flags: ACK }).subarray(14);
    rig.fromThree({ ...error, payload: [...stranger] });
    rig.fromThree({ ...error, payload: [...quoted.subarray(0, 12)] });
    t.same(rig.seen(0), []);
    t.same(rig.drops(), { "icmp-unmatched": 2 });
    t.equal(rig.lost, 0);
  });

  test(`V1: too big and time exceeded pass for a live flow (IP${version})`, async (t) => {
    const rig = known({ rules: [rule(1, { fromZones: [1] })] });
    rig.fromOne({ ...there, protocol: UDP });
    rig.seen(1);
    const quoted = [...craft({ ...there, protocol: UDP }).subarray(14)];
    for (const [type, code] of version === "v4"
      ? [
          [3, 4],
          [11, 0],
        ]
      : [
          [2, 0],
          [3, 0],
        ]) {
      rig.fromThree({
        source: THREE[version],
        destination: ONE[version],
        protocol: echo[0],
        type: type as number,
        code: code as number,
        rest: [0, 0, 5, 0],
        payload: quoted,
      });
    }
    t.equal(rig.seen(0).length, 2);
    t.same(rig.states(), ["udp-one-way"], "an error is no answer");
    t.equal(rig.lost, 0);
  });
}

/** SYN, SYN-ACK, ACK; the originator's next number is 101, the responder's 901. */
function establish(rig: Rig, there: Crafted, back: Crafted): void {
  rig.fromOne({ ...there, protocol: TCP, flags: SYN, sequence: 100, acknowledgement: 0 });
  rig.fromThree({ ...back, protocol: TCP, flags: SYN | ACK, sequence: 900, acknowledgement: 101 });
  rig.fromOne({ ...there, protocol: TCP, flags: ACK, sequence: 101, acknowledgement: 901 });
  rig.seen(0);
  rig.seen(1);
}

test("a full table drops what would need a row, says so, and serves those that have one", async (t) => {
  const rig = known({ rules: [rule(1)], sessions: 256 });
  for (let port = 0; port < 256; port++) rig.fromOne({ protocol: UDP, sourcePort: 1_000 + port });
  t.equal(rig.seen(1).length, 256);
  rig.fromOne({ protocol: UDP, sourcePort: 2_000 });
  t.same(rig.drops(), { "table-full": 1 });
  t.same(rig.eventNames(), ["table-full"]);
  rig.fromOne({ protocol: UDP, sourcePort: 1_000 });
  rig.fromThree({ protocol: UDP, sourcePort: 80, destinationPort: 1_255 });
  t.same([rig.seen(0).length, rig.seen(1).length], [1, 1]);
  t.equal(rig.lost, 0);
});

test("any other protocol is a session by its number and its addresses", async (t) => {
  const rig = known({ rules: [rule(1, { fromZones: [1], services: [{ protocol: 47, ports: [0, 65_535], codes: [0, 255] }] })] });
  rig.fromOne({ protocol: 47, payload: [1, 2, 3, 4] });
  rig.fromThree({ protocol: 47, payload: [5, 6, 7, 8] });
  t.same([rig.seen(0).length, rig.seen(1).length], [1, 1]);
  t.same(rig.states(), ["other-both-ways"]);
  rig.fromOne({ protocol: 50, payload: [1] });
  t.same(rig.drops(), { "policy-deny": 1 });
  t.equal(rig.lost, 0);
});

test("a row counts packets and IP bytes each way", async (t) => {
  const rig = known({ rules: [rule(1)] });
  rig.fromOne({ protocol: UDP, payload: [1, 2] });
  rig.fromOne({ protocol: UDP, payload: [1, 2] });
  rig.fromThree({ protocol: UDP, sourcePort: 80, destinationPort: 40_000 });
  const row = Array.from({ length: rig.plan.sessions }, (_, k) => k).find((k) => rig.tables.sessions.i[k * 64 + 32] !== 0) as number;
  t.same([...rig.tables.sessions.f.subarray(row * 32 + 20, row * 32 + 24)], [2, 60, 1, 28]);
  t.equal(rig.lost, 0);
});

test("rules look at sources, destinations and ICMP types", async (t) => {
  const ping = { protocol: ICMP, ports: [8, 8], codes: [0, 255] } as const;
  const rig = known({ rules: [rule(1, { sources: [prefix("10.1.0.0/28")], destinations: [prefix(THREE.v4)], services: [ping] })] });
  rig.fromOne({ protocol: ICMP, type: 8 });
  rig.fromOne({ protocol: ICMP, type: 13, rest: [1, 1, 0, 1] });
  rig.fromOne({ protocol: ICMP, type: 8, source: "10.1.0.99" });
  rig.fromOne({ protocol: ICMP, type: 8, destination: "10.3.0.34" });
  t.equal(rig.seen(1).length, 1);
  t.same(rig.drops(), { "policy-deny": 3 });
  t.equal(rig.lost, 0);
});

test("a sender that changes its mind about direction is one session: the answer to an answer finds the same row", async (t) => {
  const rig = known({ rules: [rule(1)] });
  rig.fromThree({ protocol: UDP, sourcePort: 80, destinationPort: 40_000 });
  rig.fromOne({ protocol: UDP });
  t.same(rig.states(), ["udp-both-ways"]);
  t.equal(rig.counter("sessions-created"), 1);
  t.equal(rig.lost, 0);
});

test("F4, N2: idle times and tombstones hold while the clock passes 2^31 milliseconds (25 days of uptime)", async (t) => {
  const rig = known({ rules: [rule(1)] });
  rig.nowMicros = (2 ** 31 - 60_000) * 1_000;
  rig.pass(1_000);
  rig.meetHosts();
  rig.fromOne({ protocol: UDP });
  rig.pass(IDLE_MILLIS.udpOneWay - 2_000, 500);
  t.same(rig.states(), ["udp-one-way"]);
  rig.pass(3_000, 100);
  t.same(rig.states(), []);
  t.equal(rig.header("tombstones"), 1, "a tombstone stays two seconds");
  rig.pass(2_000, 100);
  t.equal(rig.header("tombstones"), 0);
  rig.meetHosts();
  rig.fromOne({ flags: SYN, sequence: 100, acknowledgement: 0 });
  rig.fromThree({ sourcePort: 80, destinationPort: 40_000, flags: RST | ACK, sequence: 0, acknowledgement: 101 });
  rig.pass(1_500, 100);
  t.equal(rig.header("tombstones"), 1);
  t.equal(rig.lost, 0);
});
