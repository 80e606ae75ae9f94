// New secrets and new keys for the data channel while packets are handed over: by time, by volume, and by the managers' agreement; no frame
// is lost of it.

import { test } from "tap";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { MEMBERS } from "../../firmware/fastpath/memory/tables.ts";
import { eventsOf } from "./coverage.ts";
import { Invariants } from "./invariants.ts";
import { Picture, type PictureOptions } from "./picture.ts";
import { buildUnit } from "./production.ts";
import { SecretExchanges } from "./secrets.ts";
import { download } from "./services.ts";
import type { SimUnit } from "./unit.ts";

const WAYS: readonly { readonly what: string; readonly settings: Partial<PictureOptions>; readonly isAgreed: boolean }[] = [
  { what: "by time", settings: { keyMillis: 2_200 }, isAgreed: false },
  { what: "by volume", settings: { keyFrames: 500 }, isAgreed: false },
  { what: "because managers agree on new secrets", settings: {}, isAgreed: true },
  { what: "by all of that at once", settings: { keyMillis: 2_200, keyFrames: 500 }, isAgreed: true },
];

const rejectedAt = ({ tables }: SimUnit): number => {
  const { f, strideWords } = (tables as NonNullable<SimUnit["tables"]>).members;
  let sum = 0;
  for (let at = word(MEMBERS, "framesRejected"); at < f.length * 2; at += strideWords) sum += f[at >> 1] as number;
  return sum;
};

for (const { what, settings, isAgreed } of WAYS) {
  test(`keys change ${what}, in mid-transfer: no frame is refused, no packet lost, nobody is gone for a moment`, async (t) => {
    const picture = new Picture(7, { build: buildUnit, pairs: true, mode: "routed", ...settings });
    const { world, units } = picture;
    const invariants = new Invariants(picture);
    picture.start();
    world.run(300);
    const exchanges = new SecretExchanges(world);
    const before = units.map(rejectedAt);
    const rotations = (): number => units.reduce((sum, { life }) => sum + (life?.sealer.rotations ?? 0), 0);
    const rotationsBefore = rotations();
    const transfers = Array.from({ length: 4 }, () => download(picture.service1, picture.addresses(true).service3, { bytes: 8_000_000 }));
    for (let k = 0; k < 80; k++) {
      if (isAgreed && k % 8 === 0)
        for (const one of units) for (const other of units) if (one.plan.unit < other.plan.unit) exchanges.begin(one, other, 2, world.random.fork(`${k}`));
      world.run(100);
      invariants.watch();
    }
    t.ok(world.runUntil(() => transfers.every(({ end }) => end !== null), 60_000));
    t.ok(transfers.every(({ complete, connection }) => complete && connection.retransmissions === 0));
    t.same(units.map(rejectedAt), before);
    t.same(
      units.map(({ tables }) => (tables === null ? [] : eventsOf(tables)).filter(({ name }) => name === "peer-lost" || name === "key-rejected").length),
      units.map(() => 0),
    );
    t.ok(rotations() > rotationsBefore + 8, `${rotations() - rotationsBefore} keys`);
    if (isAgreed) t.ok(exchanges.completed > 60, `${exchanges.completed} secrets`);
    world.run(6_000);
    invariants.afterHealing();
  });
}
