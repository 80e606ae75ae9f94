// A session's end counts at both sites at once (F4, W2): what comes by the site that does not own it, within a second of the
// end, meets the policy.

import { test } from "tap";
import { drop } from "../../firmware/fastpath/verdicts.ts";
import { addressesOf, Picture } from "./picture.ts";
import { buildUnit } from "./production.ts";
import { DOWNLOAD_PORT, download, sendStraySegment } from "./services.ts";
import { ACK, RST, SYN } from "./tcp.ts";
import type { SimUnit } from "./unit.ts";

const dropped = (units: readonly SimUnit[], reason: "no-session" | "policy-deny"): number =>
  units.reduce((sum, unit) => sum + (unit.tables?.counters.f[drop(reason)] as number), 0);

for (const mode of ["routed", "transparent"] as const) {
  for (const v4 of [true, false]) {
    const { service1, service3 } = addressesOf(v4);

    test(`W2, F4: after a reset nothing of the session passes at either site, and its tuple meets the policy (${mode}, IPv${v4 ? 4 : 6})`, async (t) => {
      const picture = new Picture(1, { build: buildUnit, mode });
      picture.start();
      const transfer = download(picture.service1, service3, { bytes: 5_000_000 });
      picture.world.runUntil(() => transfer.receivedBytes > 100_000, 5_000, 1);
      const port = transfer.connection.settings.localPort;
      transfer.connection.abort();
      picture.world.run(50);
      const strays = picture.service1.strays;
      const before = [dropped(picture.units, "no-session"), dropped(picture.units, "policy-deny")] as const;
      for (const flags of [ACK, RST, SYN | ACK]) sendStraySegment(picture.service3, service1, DOWNLOAD_PORT, port, flags, 1, 1);
      sendStraySegment(picture.service3, service1, DOWNLOAD_PORT, port, SYN, 1, 0);
      picture.world.run(50);
      t.equal(picture.service1.strays, strays, "nothing arrived");
      t.same([dropped(picture.units, "no-session") - before[0], dropped(picture.units, "policy-deny") - before[1]], [3, 1]);
      const again = download(picture.service1, service3, { bytes: 10_000, localPort: port });
      picture.world.runUntil(() => again.end !== null, 5_000);
      t.ok(again.complete, "the same tuple opens anew at once");
    });
  }
}
