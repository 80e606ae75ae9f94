// traceroute both ways: the units answer for themselves (time exceeded), and what routers and hosts beyond them say about a probe
// passes because of the probe's session. Debian's traceroute, with UDP and ICMP probes.
//
//   alone    user ↔ service3: router, B1         across   service1 ↔ service3: A1 on the way there, B1 on the way back

import type { Lab } from "../lab.ts";
import { type Measured, must } from "../measured.ts";
import { type LabHost, ROUTER, SERVICE1, SERVICE3, USER, ZONE_ONE, ZONE_THREE } from "../picture.ts";
import { moveUserPath } from "../topology.ts";
import { tool } from "./tools.ts";
import { dropsIn, inWords, mustDropOnly } from "./ways.ts";

interface Route {
  readonly from: LabHost;
  readonly hops4: readonly string[];
  readonly hops6: readonly string[];
}

const ROUTES: readonly Route[] = [
  {
    from: "user",
    hops4: [ROUTER.inner4, ZONE_ONE.site.B.address4, SERVICE3.address4],
    hops6: [ROUTER.inner6, ZONE_ONE.site.B.address6, SERVICE3.address6],
  },
  {
    from: "service3",
    hops4: [ZONE_THREE.site.B.address4, ROUTER.address4, USER.address4],
    hops6: [ZONE_THREE.site.B.address6, ROUTER.address6, USER.address6],
  },
  { from: "service1", hops4: [ZONE_ONE.site.A.address4, SERVICE3.address4], hops6: [ZONE_ONE.site.A.address6, SERVICE3.address6] },
  { from: "service3", hops4: [ZONE_THREE.site.B.address4, SERVICE1.address4], hops6: [ZONE_THREE.site.B.address6, SERVICE1.address6] },
];

/** The address that answered for each hop. */
function hopsOf(text: string): readonly string[] {
  const lines = text.trim().split("\n").slice(1);
  return lines.map((line) => line.trim().split(/\s+/)[1] ?? "*");
}

export async function traceroute(lab: Lab): Promise<Measured> {
  moveUserPath("B");
  const before = dropsIn(lab);
  let traces = 0;
  for (const { from, hops4, hops6 } of ROUTES) {
    for (const hops of [hops4, hops6]) {
      for (const probe of ["", "-I"]) {
        const seen = hopsOf(await tool(from, `traceroute -n -q 1 -N 1 -w 2 -m 6 ${probe} ${hops.at(-1)}`));
        must(seen.join(" ") === hops.join(" "), `from ${from}${probe === "" ? "" : ` (${probe})`} the hops are ${seen.join(" ")}, not ${hops.join(" ")}`);
        traces++;
      }
    }
    lab.say(`${from}: ${hops4.join(" ")} and ${hops6.join(" ")}, by UDP and by ICMP`);
  }
  const drops = mustDropOnly(lab, before, ["ttl-exceeded"]);
  must(drops.get("ttl-exceeded") === traces, `the units answered for themselves ${inWords(drops)}, and not once per trace (${traces})`);
  return { exchanges: traces, failures: 0, detail: "every hop answers, both ways; the units drop one probe per trace, and say so" };
}
