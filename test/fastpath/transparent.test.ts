// Transparent mode: two ports as a wire. Packets leave as they came; sessions and policy are those of routed mode.

import { test } from "tap";
import type { PlannedZone } from "../../firmware/plan.ts";
import { type Crafted, craft, HOST_MAC, mac, rule } from "./craft.ts";
import { arpRequest, Rig, solicitation } from "./rig.ts";

const ICMP = 1;
const UDP = 17;
const PEER_MAC = "02:00:00:00:00:22";
const SYN = 0x02;
const ACK = 0x10;

function zone(number: number, port: number, vlan: number): PlannedZone {
  const none = { gatewayMac: mac("00:00:00:00:00:00"), gatewayAddresses: [], siteMac: mac("00:00:00:00:00:00"), siteAddresses: [] };
  return { zone: number, name: `zone ${number}`, port, vlan, ...none };
}

/** Untagged and VLAN 7 on both ends; zone 1 on port 0, zone 3 on port 1. */
function wire(rules = [rule(1, { fromZones: [1] })]): Rig {
  const port = (number: number) => ({ number, device: `port${number}`, kind: "data", mtuBytes: 1_500, pairedPort: 1 - number }) as const;
  const zones = [zone(1, 0, 0), zone(3, 1, 0), zone(1, 0, 7), zone(3, 1, 7)];
  return new Rig({ mode: "transparent", ports: [port(0), port(1)], zones, rules });
}

const there = { source: "192.0.2.1", destination: "192.0.2.2", destinationMac: PEER_MAC, sourceMac: HOST_MAC } as const;
const back = { source: "192.0.2.2", destination: "192.0.2.1", destinationMac: HOST_MAC, sourceMac: PEER_MAC, sourcePort: 80, destinationPort: 40_000 } as const;
const thereV6 = { ...there, source: "2001:db8::1", destination: "2001:db8::2" } as const;
const backV6 = { ...back, source: "2001:db8::2", destination: "2001:db8::1" } as const;

for (const [version, one, two] of [
  ["4", there, back],
  ["6", thereV6, backV6],
] as const) {
  test(`a packet crosses the wire unchanged, tagged or not, TTL and MACs included (IPv${version})`, async (t) => {
    const rig = wire();
    for (const vlan of [undefined, 7]) {
      const tag: Crafted = vlan === undefined ? {} : { vlan };
      const packet = craft({ ...one, ...tag, protocol: UDP, ttl: 1, payload: new Array(40).fill(9) });
      rig.put(0, packet);
      t.same(rig.frames(1), [packet]);
      const answer = craft({ ...two, ...tag, protocol: UDP, ttl: 1, payload: new Array(40).fill(8) });
      rig.put(1, answer);
      t.same(rig.frames(0), [answer]);
    }
    t.same(rig.drops(), {});
    t.same(rig.states(), ["udp-both-ways", "udp-both-ways"], "the VLANs are two wires");
    t.equal(rig.lost, 0);
  });

  test(`the policy and TCP's windows hold on a wire (IPv${version})`, async (t) => {
    const rig = wire();
    rig.put(1, craft({ ...two, flags: SYN }));
    t.same(rig.drops(), { "policy-deny": 1 });
    rig.put(0, craft({ ...one, flags: SYN, sequence: 100, acknowledgement: 0 }));
    rig.put(1, craft({ ...two, flags: SYN | ACK, sequence: 900, acknowledgement: 101 }));
    rig.put(0, craft({ ...one, flags: ACK, sequence: 101, acknowledgement: 901 }));
    t.same([rig.frames(0).length, rig.frames(1).length], [1, 2]);
    t.same(rig.states(), ["established"]);
    rig.put(1, craft({ ...two, flags: ACK, sequence: 9_000_000, acknowledgement: 101 }));
    t.same(rig.drops(), { "policy-deny": 1, "tcp-out-of-window": 1 });
    rig.put(1, craft({ ...two, sourcePort: 81, flags: ACK }));
    t.equal(rig.drops()["no-session"], 1);
    t.same([rig.frames(0).length, rig.frames(1).length], [0, 0]);
    t.equal(rig.lost, 0);
  });
}

test("F10: what followed a datagram in its frame leaves as zeroes", async (t) => {
  const rig = wire();
  const packet = craft({ ...there, protocol: UDP });
  rig.put(0, Uint8Array.from([...packet, ...new Array(18).fill(0xcc)]));
  t.same(rig.frames(1), [Uint8Array.from([...packet, ...new Array(60 - packet.length).fill(0)])]);
  t.equal(rig.lost, 0);
});

test("ARP, neighbour discovery and bridge control frames cross the wire, both ways, unjudged", async (t) => {
  const rig = wire([]);
  const bridge = Uint8Array.from([1, 0x80, 0xc2, 0, 0, 0, ...mac(HOST_MAC), 0, 38, 0x42, 0x42, 3, ...new Array(43).fill(0)]);
  for (const frame of [arpRequest(HOST_MAC, "192.0.2.1", "192.0.2.2"), solicitation(HOST_MAC, "2001:db8::1", "2001:db8::2"), bridge]) {
    rig.put(0, frame);
    t.same(rig.frames(1), [frame]);
    rig.put(1, frame);
    t.same(rig.frames(0), [frame]);
  }
  t.same(rig.drops(), {});
  t.equal(rig.lost, 0);
});

test("multicast meets the policy; frames that are neither ARP, IPv4 nor IPv6 do not cross, nor does a VLAN without zones", async (t) => {
  const rig = wire();
  rig.put(0, craft({ ...there, protocol: UDP, destination: "224.0.0.5", destinationMac: "01:00:5e:00:00:05" }));
  t.equal(rig.frames(1).length, 1);
  rig.put(0, craft({ ...there, protocol: UDP }).with(12, 0x99));
  rig.put(
    0,
    craft({ ...there, protocol: UDP })
      .with(12, 0x88)
      .with(13, 0xb5),
  );
  rig.put(0, craft({ ...there, protocol: UDP, vlan: 8 }));
  rig.put(0, arpRequest(HOST_MAC, "192.0.2.1", "192.0.2.2", 8));
  t.same(rig.drops(), { "unknown-ethertype": 2, "no-zone": 2 });
  t.same(rig.frames(1), []);
  t.equal(rig.lost, 0);
});

test("N5: an ICMP error of a live flow crosses, another does not", async (t) => {
  const rig = wire();
  rig.put(0, craft({ ...there, protocol: UDP }));
  rig.frames(1);
  const error = { ...back, source: "192.0.2.77", protocol: ICMP, type: 3, code: 3, rest: [0, 0, 0, 0] };
  rig.put(1, craft({ ...error, payload: [...craft({ ...there, protocol: UDP }).subarray(14)] }));
  t.equal(rig.frames(0).length, 1);
  rig.put(1, craft({ ...error, payload: [...craft({ ...there, protocol: UDP, sourcePort: 9 }).subarray(14)] }));
  t.same(rig.frames(0), []);
  t.same(rig.drops(), { "icmp-unmatched": 1 });
  t.equal(rig.lost, 0);
});

test("a wire says nothing of its own: no reset, no ICMP error, no announcement", async (t) => {
  const rig = wire([rule(1, { action: "reject" })]);
  rig.put(0, craft({ ...there, flags: SYN }));
  rig.put(0, craft({ ...there, protocol: UDP }));
  rig.ports[0].state = 0;
  rig.pass(10, 10);
  rig.ports[0].state = 1;
  rig.pass(10, 10);
  t.same([...rig.frames(0), ...rig.frames(1)], []);
  t.same(rig.drops(), { "policy-reject": 2 });
  t.equal(rig.lost, 0);
});

test("a wire whose other end is down drops and counts, ARP too", async (t) => {
  const rig = wire();
  rig.ports[1].state = 0;
  rig.put(0, craft({ ...there, protocol: UDP }));
  rig.put(0, arpRequest(HOST_MAC, "192.0.2.1", "192.0.2.2"));
  t.same(rig.drops(), { "egress-down": 2 });
  t.equal(rig.lost, 0);
});
