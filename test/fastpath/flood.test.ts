// Whatever comes: no exception, and every frame is accounted for. Random and mutated packets, mostly of flows that exist, through
// a unit in either mode, with ports that go down and fill up in between.

import { test } from "tap";
import { Random } from "../../firmware/hal/sim/random.ts";
import type { PlannedZone } from "../../firmware/plan.ts";
import { type Crafted, craft, mac, rule } from "./craft.ts";
import { advertisement, arp, arpRequest, ONE, Rig, solicitation, THREE } from "./rig.ts";

const PACKETS = 20_000;
const PORTS = [80, 443, 40_000, 40_001];
const FLAGS = [0x02, 0x12, 0x10, 0x10, 0x10, 0x11, 0x04, 0x14];
const PROTOCOLS = [6, 6, 6, 17, 17, 1, 58, 47];

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.below(list.length)] as T;
}

/** A packet of few addresses, ports and numbers, so that many meet a session. */
function anyPacket(random: Random, port: number, transparent: boolean): Uint8Array {
  const [here, other] = port === 0 ? [ONE, THREE] : [THREE, ONE];
  const vlan = port === 1 && !transparent ? 30 : 0;
  const kind = random.below(20);
  if (kind === 0) return arpRequest(here.mac, here.v4, port === 0 ? "10.1.0.254" : "10.3.0.254", vlan);
  if (kind === 1) return solicitation(here.mac, here.v6, port === 0 ? "2001:db8:1::254" : "2001:db8:3::254", vlan);
  if (kind === 2) return arp(here.siteMac, 2, here.mac, here.v4, here.siteMac, port === 0 ? "10.1.0.251" : "10.3.0.251", vlan);
  if (kind === 3) return advertisement(here.siteMac, here.mac, here.v6, port === 0 ? "2001:db8:1::251" : "2001:db8:3::251", vlan);
  const version = random.below(2) === 0 ? "v4" : "v6";
  const stranger = version === "v4" ? "10.3.0.77" : "2001:db8:3::77";
  const parts: Crafted = {
    source: here[version],
    destination: random.below(16) === 0 ? stranger : other[version],
    protocol: pick(random, PROTOCOLS),
    sourcePort: pick(random, PORTS),
    destinationPort: pick(random, PORTS),
    flags: pick(random, FLAGS),
    sequence: 100 + random.below(40),
    acknowledgement: 100 + random.below(40),
    type: pick(random, [0, 3, 8, 11, 1, 2, 128, 129]),
    ttl: random.below(16) === 0 ? 1 : 64,
    payload: new Array(random.below(4) === 0 ? random.below(1_400) : random.below(40)).fill(random.below(256)),
    sourceMac: here.mac,
    destinationMac: random.below(2) === 0 ? here.gatewayMac : here.siteMac,
    ...(vlan === 0 ? {} : { vlan }),
    ...(version === "v4" && random.below(20) === 0 ? { fragment: pick(random, [0x2000, 8, 0x4000, 0x2008]) } : {}),
  };
  if (random.below(10) !== 0) return craft(parts);
  // An ICMP error about a packet that came the other way.
  const quoted = craft({ ...parts, source: parts.destination as string, destination: here[version], ttl: 60 }).subarray(vlan === 0 ? 14 : 18);
  return craft({ ...parts, protocol: version === "v4" ? 1 : 58, type: version === "v4" ? 3 : 1, rest: [0, 0, 0, 0], payload: [...quoted.subarray(0, 60)] });
}

/** Half of the packets stay as they are; the others lose bytes, or have some changed. */
function mutated(random: Random, frame: Uint8Array): Uint8Array {
  const kind = random.below(8);
  if (kind === 0) return frame.slice(0, random.below(frame.length + 1));
  if (kind > 3) return frame;
  const copy = frame.slice();
  for (let k = 0; k < kind; k++) copy[random.below(Math.min(copy.length, 80))] = random.below(256);
  return copy;
}

function flood(rig: Rig, seed: number, transparent: boolean): void {
  const random = new Random(seed);
  for (let k = 0; k < PACKETS; k++) {
    const number = random.below(2);
    const port = rig.ports[number] as (typeof rig.ports)[0];
    port.waiting.push(mutated(random, anyPacket(random, number, transparent)));
    if (random.below(8) !== 0) continue;
    rig.breathe();
    if (random.below(50) === 0) rig.pass(random.below(3_000));
    if (random.below(40) === 0) port.full = !port.full;
    if (random.below(60) === 0) port.state = port.state === 1 ? 0 : 1;
    if (rig.lost !== 0) throw new Error(`${rig.lost} frames are lost after packet ${k} of seed ${seed}`);
    rig.frames(0);
    rig.frames(1);
  }
}

const RULES = [
  rule(1, { services: [{ protocol: 6, ports: [443, 443], codes: [0, 255] }], action: "reject", log: true }),
  rule(2, { services: [{ protocol: 17, ports: [443, 443], codes: [0, 255] }], action: "deny", log: true }),
  rule(3, { log: true }),
];

test("20,000 random packets, routed: nothing throws and every frame is accounted for", async (t) => {
  const rig = new Rig({ rules: RULES });
  flood(rig, 1, false);
  rig.pass(60_000);
  t.equal(rig.lost, 0);
  t.equal(rig.held, 0);
  t.ok(rig.counter("forwarded") > 1_000, `${rig.counter("forwarded")} forwarded`);
  t.ok(rig.counter("sessions-created") > 100, `${rig.counter("sessions-created")} sessions`);
  t.ok(Object.keys(rig.drops()).length > 20, Object.keys(rig.drops()).join(" "));
});

test("20,000 random packets, transparent: nothing throws and every frame is accounted for", async (t) => {
  const none = { gatewayMac: mac("00:00:00:00:00:00"), gatewayAddresses: [], siteMac: mac("00:00:00:00:00:00"), siteAddresses: [] };
  const zones: PlannedZone[] = [1, 3].map((zone, port) => ({ zone, name: `zone ${zone}`, port, vlan: 0, ...none }));
  const port = (number: number) => ({ number, device: "", kind: "data", mtuBytes: 1_500, pairedPort: 1 - number }) as const;
  const rig = new Rig({ rules: RULES, mode: "transparent", zones, ports: [port(0), port(1)] });
  flood(rig, 2, true);
  rig.pass(60_000);
  t.equal(rig.lost, 0);
  t.equal(rig.held, 0);
  t.ok(rig.counter("forwarded") > 1_000, `${rig.counter("forwarded")} forwarded`);
  t.ok(Object.keys(rig.drops()).length > 15, Object.keys(rig.drops()).join(" "));
});

test("every packet is either sent, answered, kept or counted as dropped, once", async (t) => {
  const rig = new Rig({ rules: [rule(1)] });
  rig.meetHosts();
  const random = new Random(3);
  const before = rig.counter("received") - rig.counter("local");
  for (let k = 0; k < 2_000; k++) rig.put(random.below(2), mutated(random, anyPacket(random, random.below(2), false)));
  const dropped = Object.values(rig.drops()).reduce((sum, count) => sum + count, 0) - (rig.drops()["not-local-service"] ?? 0);
  const kept = rig.dataplane.engine.datagrams.fragments.heldCount;
  t.equal(rig.counter("received") - rig.counter("local") - before, rig.counter("forwarded") + kept + dropped - (rig.drops()["no-frames"] ?? 0));
  t.equal(rig.lost, 0);
});
