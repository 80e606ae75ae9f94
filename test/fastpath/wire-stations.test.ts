// A wire's stations are announced through its other end when a unit takes the wire over.

import { test } from "tap";
import type { PlannedZone } from "../../firmware/plan.ts";
import { craft, HOST_MAC, mac, rule } from "./craft.ts";
import { Rig } from "./rig.ts";

const UDP = 17;
const RARP = 0x8035;

function zone(number: number, port: number, vlan: number): PlannedZone {
  const none = { gatewayMac: mac("00:00:00:00:00:00"), gatewayAddresses: [], siteMac: mac("00:00:00:00:00:00"), siteAddresses: [] };
  return { zone: number, name: `zone ${number}`, port, vlan, ...none };
}

function wire(): Rig {
  const port = (number: number) => ({ number, device: `port${number}`, kind: "data", mtuBytes: 1_500, pairedPort: 1 - number }) as const;
  return new Rig({ mode: "transparent", ports: [port(0), port(1)], zones: [zone(1, 0, 0), zone(3, 1, 0), zone(1, 0, 7), zone(3, 1, 7)], rules: [rule(1, {})] });
}

function announced(frames: readonly Uint8Array[]): string[] {
  return frames
    .filter((frame) => ((frame[12] as number) << 8) + (frame[13] as number) === RARP || ((frame[16] as number) << 8) + (frame[17] as number) === RARP)
    .map((frame) => Buffer.from(frame.subarray(6, 12)).toString("hex"))
    .sort();
}

test("a takeover announces what was heard on one end through the other, three times, in its VLAN", async (t) => {
  const rig = wire();
  const other = "02:00:00:00:00:22";
  rig.put(0, craft({ source: "192.0.2.1", destination: "192.0.2.2", sourceMac: HOST_MAC, destinationMac: other, protocol: UDP }));
  rig.put(1, craft({ source: "192.0.2.2", destination: "192.0.2.1", sourceMac: other, destinationMac: HOST_MAC, protocol: UDP, vlan: 7 }));
  for (const port of [0, 1]) rig.frames(port);
  rig.dataplane.engine.takeOver();
  const seen: string[][] = [[], []];
  for (let k = 0; k < 150; k++) {
    rig.nowMicros += 10_000;
    rig.breathe();
    for (const port of [0, 1]) seen[port]?.push(...announced(rig.frames(port)));
  }
  const name = (text: string) => text.replaceAll(":", "");
  t.same(seen[1], [name(HOST_MAC), name(HOST_MAC), name(HOST_MAC)]);
  t.same(seen[0], [name(other), name(other), name(other)]);
  t.equal(rig.lost, 0);
});

test("what a mate has learnt is announced too, and a station that moved only where it is now", async (t) => {
  const rig = wire();
  const { stations } = rig.dataplane.engine;
  stations?.learnAt(1, 0, 0x11111100, 0x2222, false);
  stations?.learnAt(3, 0, 0x11111100, 0x2222, false);
  stations?.learnAt(9, 0, 0x33333300, 0x4444, false);
  rig.dataplane.engine.takeOver();
  rig.breathe();
  t.same([announced(rig.frames(0)), announced(rig.frames(1))], [["001111112222"], []]);
});

test("what a standby knows of a station counts only where nothing is known, and is announced", async (t) => {
  const rig = wire();
  const { stations } = rig.dataplane.engine;
  stations?.learnAt(1, 0, 0x11111100, 0x2222, false);
  stations?.learnAt(3, 0, 0x11111100, 0x2222, true);
  stations?.learnAt(3, 0, 0x33333300, 0x4444, true);
  rig.breathe();
  t.same([announced(rig.frames(0)), announced(rig.frames(1))], [["003333334444"], []]);
});
