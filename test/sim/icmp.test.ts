// ICMP errors reach the sender of the packet that they are about, also when they come in at the site that does not own its
// session (N4, N5, V1).

import { test } from "tap";
import { counterRow } from "../../firmware/fastpath/memory/tables.ts";
import { drop } from "../../firmware/fastpath/verdicts.ts";
import { type Address, ICMP, ICMPV6, put16, put32 } from "./packets.ts";
import { addressesOf, Picture, type PictureOptions } from "./picture.ts";
import { buildUnit } from "./production.ts";
import { ECHO_PORT, exchange } from "./services.ts";

interface Heard {
  readonly type: number;
  readonly code: number;
}

function build(seed: number, mode: NonNullable<PictureOptions["mode"]>) {
  const picture = new Picture(seed, { build: buildUnit, mode });
  picture.start();
  const heard: Heard[] = [];
  picture.service1.onIcmp = (packet, frame) => {
    const type = frame[packet.at] as number;
    if (type !== 0 && type !== 129) heard.push({ type, code: frame[packet.at + 1] as number });
  };
  return { picture, world: picture.world, a: picture.unit("A1"), b: picture.unit("B1"), heard };
}

/** The beginning of a datagram as service1 sent it. */
function quoted(from: Address, to: Address, fromPort: number, toPort: number): Uint8Array {
  const v4 = from.v4;
  const at = v4 ? 20 : 40;
  const packet = new Uint8Array(at + 40);
  if (v4) {
    packet[0] = 0x45;
    put16(packet, 2, packet.length);
    packet[8] = 63;
    packet[9] = 17;
    packet.set(from.bytes.subarray(-4), 12);
    packet.set(to.bytes.subarray(-4), 16);
  } else {
    packet[0] = 0x60;
    put16(packet, 4, packet.length - 40);
    packet[6] = 17;
    packet[7] = 63;
    packet.set(from.bytes, 8);
    packet.set(to.bytes, 24);
  }
  put16(packet, at, fromPort);
  put16(packet, at + 2, toPort);
  put16(packet, at + 4, 40);
  return packet;
}

for (const mode of ["routed", "transparent"] as const) {
  for (const v4 of [true, false]) {
    const { service1, service3 } = addressesOf(v4);
    const errors: readonly (readonly [number, number])[] = v4
      ? [
          [3, 1],
          [3, 4],
          [11, 0],
          [12, 0],
        ]
      : [
          [1, 0],
          [1, 4],
          [2, 0],
          [3, 0],
          [4, 1],
          [4, 2],
        ];

    test(`V1, N4, N5: errors about A's flow that reach B are handed to A and arrive; the flow lives on (${mode}, IPv${v4 ? 4 : 6})`, async (t) => {
      const { picture, world, a, b, heard } = build(1, mode);
      const first = exchange(picture.service1, service3, { localPort: 5_555 });
      world.run(200);
      t.equal(first.answers, 1);
      for (const [type, code] of errors) {
        const message = new Uint8Array(8 + 80);
        message[0] = type;
        message[1] = code;
        if (v4) put16(message, 6, 1_400);
        else put32(message, 4, 1_400);
        message.set(quoted(service1, service3, 5_555, ECHO_PORT), 8);
        picture.service3.send(service3, service1, v4 ? ICMP : ICMPV6, message);
      }
      world.run(200);
      t.same(
        heard,
        errors.map(([type, code]) => ({ type, code })),
      );
      t.ok((a.tables?.counters.f[counterRow("handed-here")] as number) >= errors.length);
      const second = exchange(picture.service1, service3, { localPort: 5_556 });
      const stranger = new Uint8Array(8 + 80);
      stranger[0] = v4 ? 3 : 1;
      stranger.set(quoted(service1, service3, 6_666, ECHO_PORT), 8);
      picture.service3.send(service3, service1, v4 ? ICMP : ICMPV6, stranger);
      world.run(500);
      t.equal(second.answers, 1);
      t.equal(heard.length, errors.length, "an error about no flow does not arrive");
      t.equal((a.tables?.counters.f[drop("icmp-unmatched")] as number) + (b.tables?.counters.f[drop("icmp-unmatched")] as number), 1);
    });
  }
}
