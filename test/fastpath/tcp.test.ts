// TCP through a whole unit: what real stacks do passes, what only an attacker or an error sends does not (T1–T5, F3, F4).

import { test } from "tap";
import { type Crafted, rule } from "./craft.ts";
import { ONE, Rig, THREE } from "./rig.ts";

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
const URG = 0x20;
const SCALE = (shift: number): readonly number[] => [1, 3, 3, shift];
const number = (value: number): readonly number[] => [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const sack = (...edges: readonly number[]): readonly number[] => [1, 1, 5, 2 + edges.length * 4, ...edges.flatMap(number)];
const TIMESTAMPS = [1, 1, 8, 10, ...number(111_111), ...number(222_222)];

/** Both hosts' next numbers are 101 and 901 when the handshake is done. */
class Talk {
  readonly rig: Rig;
  private readonly there: Crafted;
  private readonly back: Crafted;

  constructor(version: "v4" | "v6", parts: ConstructorParameters<typeof Rig>[0] = {}) {
    this.rig = new Rig({ rules: [rule(1, { fromZones: [1] })], ...parts });
    this.rig.meetHosts();
    this.there = { source: ONE[version], destination: THREE[version] };
    this.back = { source: THREE[version], destination: ONE[version], sourcePort: 80, destinationPort: 40_000 };
  }

  /** True when the segment left at the other side. */
  one(flags: number, sequence: number, acknowledgement = 0, parts: Crafted = {}): boolean {
    this.rig.fromOne({ ...this.there, flags, sequence, acknowledgement, ...parts });
    return this.rig.seen(1).length === 1;
  }

  three(flags: number, sequence: number, acknowledgement = 0, parts: Crafted = {}): boolean {
    this.rig.fromThree({ ...this.back, flags, sequence, acknowledgement, ...parts });
    return this.rig.seen(0).length === 1;
  }

  establish(scale = 0): this {
    const options = scale === 0 ? {} : { tcpOptions: SCALE(scale) };
    this.one(SYN, 100, 0, options);
    this.three(SYN | ACK, 900, 101, options);
    this.one(ACK, 101, 901);
    return this;
  }

  get state(): string {
    return this.rig.states().join(" ");
  }

  get drops(): unknown {
    return this.rig.drops();
  }
}

const bytes = (count: number): { readonly payload: readonly number[] } => ({ payload: new Array<number>(count).fill(7) });

for (const version of ["v4", "v6"] as const) {
  const of = `(IP${version})`;

  test(`F3: in an established session, addresses, ports, sequence number or flags altered one at a time face the rules ${of}`, async (t) => {
    const other = version === "v4" ? { one: "10.1.0.12", three: "10.3.0.34" } : { one: "2001:db8:1::12", three: "2001:db8:3::34" };
    for (const altered of [{ source: other.one }, { destination: other.three }, { sourcePort: 40_001 }, { destinationPort: 81 }]) {
      const talk = new Talk(version).establish();
      t.notOk(talk.one(ACK, 101, 901, altered), JSON.stringify(altered));
      t.same(talk.drops, { "no-session": 1 });
    }
    for (const [flags, sequence, acknowledgement, reason] of [
      [ACK, 101 + 200_000, 901, "tcp-out-of-window"],
      [ACK, 101 - 200_000, 901, "tcp-out-of-window"],
      [ACK, 101, 901 + 10, "tcp-out-of-window"],
      [SYN | ACK, 101, 901, "tcp-bad-state"],
      [0, 101, 901, "bad-tcp-flags"],
      [SYN | FIN, 101, 901, "bad-tcp-flags"],
      [SYN | RST, 101, 901, "bad-tcp-flags"],
      [FIN, 101, 901, "bad-tcp-flags"],
      [URG, 101, 901, "bad-tcp-flags"],
    ] as const) {
      const talk = new Talk(version).establish();
      t.notOk(talk.one(flags, sequence, acknowledgement), `flags ${flags}`);
      t.same(talk.drops, { [reason]: 1 });
      t.equal(talk.state, "established");
    }
  });

  test(`F3, T3: a SYN in an established session faces the rules of its own direction ${of}`, async (t) => {
    const talk = new Talk(version).establish();
    t.ok(talk.one(SYN, 70_000), "zone one may open, so its receiver gets to challenge it");
    t.notOk(talk.three(SYN, 80_000), "zone three may not");
    t.same(talk.drops, { "policy-deny": 1 });
    t.equal(talk.state, "established");
    t.ok(talk.one(ACK, 101, 901, bytes(10)), "and the session goes on");
  });

  test(`T3: a restarted host's SYN is challenged, its reset ends the old session, its next SYN opens a new one ${of}`, async (t) => {
    const talk = new Talk(version).establish();
    talk.one(ACK, 101, 901, bytes(100));
    t.ok(talk.one(SYN, 50_000), "in SYN-SENT, with an old connection at the other end");
    t.ok(talk.three(ACK, 901, 101), "the challenge ACK; the last data had not arrived");
    t.ok(talk.one(RST, 101), "RFC 9293 §3.10.7.3: a reset with the challenge's number");
    t.equal(talk.state, "");
    t.ok(talk.one(SYN, 50_000));
    t.ok(talk.three(SYN | ACK, 7_000, 50_001));
    t.ok(talk.one(ACK, 50_001, 7_001));
    t.equal(talk.state, "established");
    t.same(talk.drops, {});
  });

  test(`T3: where only the receiver still has the old connection, challenge and reset pass, and the repeated SYN opens ${of}`, async (t) => {
    const talk = new Talk(version);
    t.ok(talk.one(SYN, 50_000));
    t.notOk(talk.one(RST, 333), "nobody has challenged yet");
    t.ok(talk.three(ACK, 9_999, 333), "the challenge: an acknowledgement of something else");
    t.notOk(talk.one(RST, 334), "another number");
    t.ok(talk.one(RST, 333));
    t.equal(talk.state, "syn-sent", "the reset was for the other connection");
    t.ok(talk.one(SYN, 50_000));
    t.ok(talk.three(SYN | ACK, 7_000, 50_001));
    t.ok(talk.one(ACK, 50_001, 7_001));
    t.equal(talk.state, "established");
    t.same(talk.drops, { "tcp-inexact-reset": 2 });
  });

  test(`F3: a bare acknowledgement of the SYN, or one with data, does not pass for a challenge ${of}`, async (t) => {
    const talk = new Talk(version);
    talk.one(SYN, 100);
    t.notOk(talk.three(ACK, 900, 101));
    t.notOk(talk.three(ACK, 900, 5_000, bytes(1)));
    t.notOk(talk.one(ACK, 101, 901));
    t.same(talk.drops, { "tcp-bad-state": 3 });
  });

  test(`T3: when both ends have forgotten the connection, the answer to the SYN begins the session anew ${of}`, async (t) => {
    const talk = new Talk(version).establish();
    t.ok(talk.one(SYN, 5_000_000, 0, { tcpOptions: SCALE(7) }));
    t.notOk(talk.three(SYN | ACK, 70_000, 4_000_000), "an answer to something else");
    t.ok(talk.three(SYN | ACK, 70_000, 5_000_001, { tcpOptions: SCALE(7) }));
    t.equal(talk.state, "syn-received");
    t.equal(talk.rig.header("halfOpen"), 1);
    t.ok(talk.one(ACK, 5_000_001, 70_001, { window: 1_000 }));
    t.equal(talk.state, "established");
    t.equal(talk.rig.header("halfOpen"), 0);
    t.ok(talk.three(ACK, 70_001 + 100_000, 5_000_001), "the new scale holds");
    t.notOk(talk.one(ACK, 101, 901), "the old numbers do not");
    t.equal(talk.rig.counter("sessions-created"), 1);
  });

  test(`T3: when both ends have forgotten it and the new one is refused, the session ends ${of}`, async (t) => {
    const talk = new Talk(version).establish();
    talk.one(SYN, 50_000);
    t.notOk(talk.three(RST | ACK, 0, 50_002), "of something else");
    t.ok(talk.three(RST | ACK, 0, 50_001));
    t.equal(talk.state, "");
  });

  test(`T2: a reset closes at the number that its receiver expects, whether its sender's last data arrived or not ${of}`, async (t) => {
    const arrived = new Talk(version).establish();
    arrived.three(ACK, 901, 101, bytes(100));
    t.ok(arrived.three(RST | ACK, 1_001, 101));
    t.equal(arrived.state, "", "behind all that was sent");
    const lost = new Talk(version).establish();
    lost.three(ACK, 901, 101, bytes(100));
    lost.three(ACK, 1_001, 101, bytes(100));
    lost.one(ACK, 101, 1_001);
    t.ok(lost.three(RST, 1_050), "in the window, inexact: its receiver may challenge it");
    t.equal(lost.state, "established");
    t.notOk(lost.three(RST, 901 + 500_000));
    t.equal(lost.state, "established");
    t.ok(lost.three(RST, 1_001));
    t.equal(lost.state, "", "what was acknowledged last");
    t.same(lost.drops, { "tcp-out-of-window": 1 });
  });

  test(`T1: SACK blocks of what was sent pass, D-SACK too; of what was never sent, or empty ones, do not ${of}`, async (t) => {
    const talk = new Talk(version).establish();
    for (let k = 0; k < 5; k++) talk.three(ACK, 901 + k * 1_000, 101, bytes(1_000));
    const acknowledge = (...edges: readonly number[]) => talk.one(ACK, 101, 1_901, { tcpOptions: sack(...edges) });
    t.ok(acknowledge(2_901, 3_901));
    t.ok(acknowledge(4_901, 5_901, 2_901, 3_901));
    t.ok(acknowledge(901, 1_901, 2_901, 3_901), "D-SACK: the first block lies below the acknowledgement (RFC 2883 §4)");
    t.notOk(acknowledge(4_901, 5_902), "one byte more than was sent");
    t.notOk(acknowledge(2_901, 3_901, 1_000_000, 1_001_000));
    t.notOk(acknowledge(3_901, 2_901), "ends before it begins");
    t.notOk(acknowledge(3_901, 3_901), "empty");
    t.notOk(acknowledge(901 - 500_000, 901 - 499_000), "long ago");
    t.notOk(talk.one(ACK, 101, 1_901, { tcpOptions: [1, 1, 5, 6, 0, 0, 11, 0] }), "half a block");
    t.same(talk.drops, { "tcp-out-of-window": 6 });
    t.ok(talk.one(ACK, 101, 1_901, { tcpOptions: [...TIMESTAMPS, ...sack(2_901, 3_901)] }));
    t.notOk(talk.one(ACK, 101, 1_901, { tcpOptions: [...TIMESTAMPS, ...sack(2_901, 9_901)] }), "behind timestamps");
  });

  test(`timestamps and SACK are left as they are ${of}`, async (t) => {
    const talk = new Talk(version).establish();
    talk.three(ACK, 901, 101, bytes(100));
    talk.rig.fromOne({
      source: ONE[version],
      destination: THREE[version],
      flags: ACK,
      sequence: 101,
      acknowledgement: 901,
      tcpOptions: [...TIMESTAMPS, ...sack(951, 1_001)],
    });
    const [seen] = talk.rig.seen(1);
    t.equal(seen?.fault, "");
    t.same([...(seen?.frame.subarray(seen.at + 20, seen.at + 44) ?? [])], [...TIMESTAMPS, ...sack(951, 1_001)]);
  });

  test(`T1: keep-alives and window probes pass, with a byte and without ${of}`, async (t) => {
    const talk = new Talk(version).establish();
    talk.one(ACK, 101, 901, bytes(50));
    talk.three(ACK, 901, 151);
    t.ok(talk.one(ACK, 150, 901), "RFC 9293 §3.8.4: the number before the next");
    t.ok(talk.one(ACK, 150, 901, bytes(1)));
    t.ok(talk.three(ACK, 900, 151));
    t.ok(talk.three(ACK, 901, 151, { window: 0 }));
    t.ok(talk.one(ACK, 151, 901, bytes(1)), "RFC 9293 §3.8.6.1: a probe of a closed window");
    t.same(talk.drops, {});
    t.equal(talk.state, "established");
  });

  test(`T1: a window scale counts up to 14, and a larger one as 14 ${of}`, async (t) => {
    const talk = new Talk(version);
    talk.one(SYN, 100, 0, { tcpOptions: SCALE(200) });
    talk.three(SYN | ACK, 900, 101, { tcpOptions: SCALE(14) });
    talk.one(ACK, 101, 901, { window: 100 });
    t.ok(talk.three(ACK, 901 + 100 * 16_384, 101));
    t.notOk(talk.three(ACK, 901 + 101 * 16_384 + 10_000, 101));
  });

  test(`T5: simultaneous open, with data afterwards in both directions ${of}`, async (t) => {
    const talk = new Talk(version);
    t.ok(talk.one(SYN, 100));
    t.ok(talk.three(SYN, 900));
    t.ok(talk.one(SYN | ACK, 100, 901));
    t.ok(talk.three(SYN | ACK, 900, 101));
    t.ok(talk.one(ACK, 101, 901, bytes(10)));
    t.ok(talk.three(ACK, 901, 111, bytes(10)));
    t.equal(talk.state, "established");
    t.same(talk.drops, {});
  });

  test(`T5: Fast Open: data in the SYN, in the SYN,ACK and behind it before the handshake ends; repeated without data ${of}`, async (t) => {
    const taken = new Talk(version);
    t.ok(taken.one(SYN, 100, 0, bytes(300)));
    t.ok(taken.three(SYN | ACK, 900, 401, bytes(500)));
    t.ok(taken.three(ACK, 1_401, 401, bytes(1_000)));
    t.ok(taken.three(ACK, 2_401, 401, bytes(1_000)), "RFC 7413 §4.2: as far as the SYN's window allows");
    t.notOk(taken.three(ACK, 1_401 + 20_000, 401));
    t.ok(taken.one(ACK, 401, 3_401));
    t.equal(taken.state, "established");
    const repeated = new Talk(version);
    t.ok(repeated.one(SYN, 100, 0, bytes(300)));
    t.ok(repeated.one(SYN, 100), "it repeats its SYN without the data");
    t.ok(repeated.three(SYN | ACK, 900, 401), "but the first had arrived");
    t.ok(repeated.one(ACK, 401, 901, bytes(10)));
    t.equal(repeated.state, "established");
    const refused = new Talk(version);
    refused.one(SYN, 100, 0, bytes(300));
    t.ok(refused.three(SYN | ACK, 900, 101));
    t.ok(refused.one(ACK, 101, 901, bytes(300)));
    t.same([taken.drops, repeated.drops, refused.drops], [{ "tcp-out-of-window": 1 }, {}, {}]);
  });

  test(`T5: a SYN that was never answered gives way to one with other numbers; a SYN,ACK may change its number until it is acknowledged ${of}`, async (t) => {
    const talk = new Talk(version);
    t.ok(talk.one(SYN, 4_000_000));
    t.ok(talk.one(SYN, 100));
    t.notOk(talk.three(SYN | ACK, 900, 4_000_001));
    t.ok(talk.three(SYN | ACK, 70_000_000, 101));
    t.ok(talk.three(SYN | ACK, 900, 101), "SYN cookies");
    t.ok(talk.one(ACK, 101, 901));
    t.equal(talk.state, "established");
    t.notOk(talk.three(SYN | ACK, 80_000_000, 101));
    t.ok(talk.three(SYN | ACK, 900, 101), "its repetition passes even now");
    t.equal(talk.rig.counter("sessions-created"), 1);
  });

  test(`T3: another SYN while the first is answered is its receiver's to challenge, and moves nothing ${of}`, async (t) => {
    const talk = new Talk(version);
    talk.one(SYN, 100);
    talk.three(SYN | ACK, 900, 101);
    t.ok(talk.one(SYN, 5_000_000));
    t.ok(talk.three(ACK, 901, 101), "the challenge");
    t.ok(talk.one(RST, 101));
    t.equal(talk.state, "");
  });

  test(`T6, F4: a half-closed session carries data the other way, and its last FIN closes it ${of}`, async (t) => {
    const talk = new Talk(version).establish();
    t.ok(talk.one(FIN | ACK, 101, 901));
    t.ok(talk.three(ACK, 901, 102));
    for (let k = 0; k < 8; k++) t.ok(talk.three(ACK, 901 + k * 1_000, 102, bytes(1_000)));
    t.ok(talk.one(ACK, 102, 8_901));
    t.notOk(talk.one(ACK, 102 + 100_000, 8_901));
    t.ok(talk.three(FIN | ACK, 8_901, 102));
    t.ok(talk.one(ACK, 102, 8_902));
    t.equal(talk.state, "time-wait");
    t.notOk(talk.three(ACK, 8_902, 102, bytes(1)), "data after the end faces the rules");
    talk.rig.pass(1_200);
    t.notOk(talk.one(ACK, 102, 8_902));
    t.same(talk.drops, { "tcp-out-of-window": 1, "tcp-bad-state": 1, "no-session": 1 });
  });

  test(`F4: after a reset the very next packet faces the rules ${of}`, async (t) => {
    const talk = new Talk(version).establish();
    talk.one(RST, 101);
    t.notOk(talk.three(ACK, 901, 101));
    t.notOk(talk.three(SYN, 901));
    t.ok(talk.one(SYN, 10_000));
    t.same(talk.drops, { "no-session": 1, "policy-deny": 1 });
  });

  test(`T4: a connection that began unseen is dropped, unless midstream pick-up is on and a rule permits its direction ${of}`, async (t) => {
    const off = new Talk(version);
    t.notOk(off.one(ACK, 5_000, 9_000, bytes(10)));
    t.same(off.drops, { "no-session": 1 });
    const on = new Talk(version, { checks: { midstream: true } });
    t.notOk(on.three(ACK, 9_000, 5_000, bytes(10)), "zone three may not open");
    t.notOk(on.one(SYN | ACK, 5_000, 9_000));
    t.notOk(on.one(RST, 5_000));
    t.notOk(on.one(FIN | ACK, 5_000, 9_000));
    t.ok(on.one(ACK, 5_000, 9_000, bytes(10)));
    t.equal(on.state, "syn-received", "half-open until the other side answers: a flood of ACKs is bounded as one of SYNs");
    t.equal(on.rig.header("halfOpen"), 1);
    t.ok(on.three(ACK, 9_000, 5_010, bytes(1_000)));
    t.equal(on.state, "established");
    t.equal(on.rig.header("halfOpen"), 0);
    t.ok(on.three(ACK, 9_000 + 3_000_000, 5_010, bytes(1_000)), "windows are not enforced: the scales are not known");
    t.ok(on.one(ACK, 5_010, 9_000 + 3_001_000));
    t.notOk(on.one(ACK, 5_010 + 0x7000_0000, 9_000), "but no window reaches so far");
    t.ok(on.three(RST, 9_000 + 3_001_000));
    t.equal(on.state, "");
    t.same(on.drops, { "policy-deny": 1, "no-session": 3, "tcp-out-of-window": 1 });
  });

  test(`T4, F9: a flood of ACKs under midstream pick-up is bounded per destination ${of}`, async (t) => {
    const talk = new Talk(version, { checks: { midstream: true }, halfOpenPerDestination: 10 });
    for (let port = 1; port <= 30; port++) talk.one(ACK, 5_000, 9_000, { sourcePort: port });
    t.equal(talk.rig.header("sessionsLive"), 10);
    t.same(talk.drops, { "half-open-limit": 20 });
  });
}
