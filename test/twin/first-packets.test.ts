// First packets of UDP and ICMP: asked about, held, or neither; and what is chosen when nobody chose.

import { test } from "tap";
import { FirstPackets } from "../../firmware/fastpath/first-packets.ts";
import { P_OFFSET, PACKET_WORDS } from "../../firmware/fastpath/packets.ts";
import { ROW_WORDS, S_ID_SERIAL, S_REPLICA, type SessionTable } from "../../firmware/fastpath/sessions.ts";
import { FIRST_PACKETS, HOLD_MILLIS } from "../../firmware/limits.ts";
import type { Plan } from "../../firmware/plan.ts";
import { FirstPacketSetting } from "../../firmware/twin/first-packets.ts";
import { rule } from "../fastpath/craft.ts";
import { packetOf } from "../scripts/packet.ts";
import { type Site, Stage } from "../scripts/stage.ts";

type Setting = Plan["twin"]["firstPacket"];

function stage(firstPacket: Setting) {
  const play = new Stage({
    mode: "routed",
    twin: true,
    rules: [rule(1, { fromZones: [1] })],
    adjust: (plan) => ({ ...plan, twin: { ...plan.twin, firstPacket } }),
  });
  const labelled = new Map<string, Uint8Array>();
  const put = (site: Site, line: string): void => {
    const { frame, from } = packetOf(line.split(" "), false, play, labelled);
    const vlan = play.vlan(from);
    play.put(site, from, vlan === 0 ? frame : Uint8Array.from([...frame.subarray(0, 12), 0x81, 0, 0, vlan, ...frame.subarray(12)]));
  };
  return { play, put };
}

const REQUEST = "one three udp ports=40000:53 len=20";
const REPLY = "three one udp ports=53:40000 len=20";

test("hold: a first packet leaves when the other site has acknowledged its session, so that nobody has to ask", async (t) => {
  const { play, put } = stage("hold");
  put("A", REQUEST);
  t.equal(play.taken("three").length, 1);
  t.same([play.counter("first-packets-held"), play.counter("replicas-applied")], [1, 1]);
  put("B", REPLY);
  t.equal(play.taken("one").length, 1, "the reply belongs to its session at the other site");
  t.equal(play.counter("queried"), 0);
});

test("what is held leaves in its order when it is acknowledged, is refused or is over; later than its limit it is dropped", async (t) => {
  const i = new Int32Array(4 * ROW_WORDS);
  for (let row = 0; row < 4; row++) i[row * ROW_WORDS + S_ID_SERIAL] = 100 + row;
  const firsts = new FirstPackets({ i } as unknown as SessionTable);
  const told: string[] = [];
  const releaser = { emitJudged: (offset: number) => void told.push(`out ${offset}`), discardHeld: (offset: number) => void told.push(`dropped ${offset}`) };
  const packet = new Int32Array(PACKET_WORDS);
  for (const [offset, row] of [
    [1, 0],
    [2, 1],
    [3, 0],
    [4, 2],
    [5, 3],
  ] as const) {
    packet[P_OFFSET] = offset;
    t.ok(firsts.hold(packet, 0, row, 1_000));
  }
  firsts.release(3, 1_001, releaser);
  t.same([told, firsts.count, firsts.isHeld(0)], [[], 5, true]);
  i[S_REPLICA] = 1 << 3;
  i[2 * ROW_WORDS + S_REPLICA] = 1 << 11;
  i[3 * ROW_WORDS + S_ID_SERIAL] = 999;
  firsts.release(3, 1_002, releaser);
  t.same(told.splice(0), ["out 1", "out 3", "out 4", "out 5"]);
  firsts.release(3, 1_000 + HOLD_MILLIS, releaser);
  t.same([told, firsts.count], [["dropped 2"], 0]);
});

test("with nobody to wait for, or no place to wait in, packets leave at once", async (t) => {
  const firsts = new FirstPackets({ i: new Int32Array(ROW_WORDS) } as unknown as SessionTable);
  const packet = new Int32Array(PACKET_WORDS);
  for (let k = 0; k < FIRST_PACKETS; k++) t.ok(firsts.hold(packet, 0, 0, 1_000));
  t.notOk(firsts.hold(packet, 0, 0, 1_000));
  let out = 0;
  firsts.release(0, 1_000, { emitJudged: () => void out++, discardHeld: () => t.fail("dropped") });
  t.equal(out, FIRST_PACKETS);
});

test("hold: TCP is not held, nor what has a session", async (t) => {
  const { play, put } = stage("hold");
  put("A", "one three tcp syn seq=100 ports=40000:80");
  t.equal(play.taken("three").length, 1);
  put("A", REQUEST);
  play.taken("three");
  put("A", REQUEST);
  t.equal(play.taken("three").length, 1);
  t.equal(play.counter("first-packets-held"), 1);
});

test("query: a reply that outran the row asks; none: it meets the policy", async (t) => {
  for (const [setting, queried] of [
    ["query", 1],
    ["none", 0],
  ] as const) {
    const { play, put } = stage(setting);
    put("A", "one three udp ports=40000:53 len=20");
    play.pass(5);
    t.equal(play.counter("queried"), queried, setting);
  }
});

test("auto asks while the sites are near and holds when they are far; who stops holding says so first", async (t) => {
  const setting = new FirstPacketSetting("auto", new Int32Array(1_024));
  const at = (millis: number, roundTripMicros: number, twinHolds = false) => {
    setting.tick(roundTripMicros, twinHolds, millis * 1_000);
    return [setting.asks, setting.holds, setting.saysHolds];
  };
  t.same(at(0, 0), [true, false, false]);
  t.same(at(1, 900), [true, false, false]);
  t.same(at(2, 2_500), [true, true, true], "it holds, and asks until the twin says that it does so too");
  t.same(at(3, 2_500, true), [false, true, true]);
  t.same(at(4, 1_500, true), [false, true, true], "near the limit nothing changes");
  t.same(at(5, 900, true), [false, true, false]);
  t.same(at(900, 900, false), [true, true, false]);
  t.same(at(1_006, 900, false), [true, false, false]);
});
