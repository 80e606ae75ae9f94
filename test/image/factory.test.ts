import { join } from "node:path";
import { test } from "tap";
import { loadConfiguration } from "../../firmware/manager/config/load.ts";

test("a new appliance's configuration is valid, and permits nothing", async (t) => {
  const { configuration } = loadConfiguration(join(import.meta.dirname, "../../image/appliance/factory.json"));
  t.same(configuration.policy, []);
});
