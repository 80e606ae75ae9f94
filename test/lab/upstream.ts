// The wiring between upstream routers: no LAN is stretched between the sites, and no address of the units is at both. Routers stand
// north and south of each site's units; the user's and service3's networks reach both sites' routers, and a route on the host
// stands for the routing protocol that chooses between them.
//
//               ┌─ north-a ── a-one ── A1 A2 ── a-three ── south-a ─┐
//   user ── wan ┤                                                   ├ lan ── service3
//               └─ north-b ── b-one ── B1 B2 ── b-three ── south-b ─┘

import { LAB_ZONES, SITES, type SiteName, UPSTREAM, USER } from "./picture.ts";
import { bridge, cable, HOST_SETTINGS, inNamespace, SWITCHES } from "./topology.ts";

const { service3 } = UPSTREAM;

/** Namespaces of routers and hosts are there; `switches` has the zones' bridges. */
export function buildUpstreamHosts(): void {
  const cables = SITES.flatMap((site) => {
    const letter = site.toLowerCase();
    return [
      cable(`${letter}-one`, `north-${letter}-in`, `north-${letter}`, "inside", 1_500),
      cable("wan", `north-${letter}-out`, `north-${letter}`, "outside", 1_500),
      cable(`${letter}-three`, `south-${letter}-in`, `south-${letter}`, "inside", 1_500),
      cable("lan", `south-${letter}-out`, `south-${letter}`, "outside", 1_500),
    ];
  });
  inNamespace(
    SWITCHES,
    [bridge("wan"), bridge("lan"), ...cables, cable("wan", "user", "user", "eth0", 1_500), cable("lan", "service3", "service3", "eth0", 1_500)].join("\n"),
  );
  for (const site of SITES) {
    const [one, three] = LAB_ZONES.map((zone) => zone.site[site]);
    buildRouter(`north-${site.toLowerCase()}`, [UPSTREAM.north4, UPSTREAM.north6], UPSTREAM.wan[site], service3, one);
    buildRouter(`south-${site.toLowerCase()}`, [UPSTREAM.south4, UPSTREAM.south6], UPSTREAM.lan[site], USER, three);
  }
  buildHost("user", USER);
  buildHost("service3", service3);
  leadUpstream("user", "A");
  leadUpstream("service3", "B");
}

interface Addresses {
  readonly address4: string;
  readonly address6: string;
}

interface Network {
  readonly prefix4: string;
  readonly prefix6: string;
}

/** A router whose leg `inside` lies in a zone, with a route through that site's units to the network behind them. */
function buildRouter(name: string, [inside4, inside6]: readonly [string, string], outside: Addresses, beyond: Network, firewall: Addresses | undefined): void {
  inNamespace(
    name,
    `${HOST_SETTINGS}
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
ip link set inside up; ip link set outside up
ip address add ${inside4}/24 dev inside; ip address add ${inside6}/64 dev inside nodad
ip address add ${outside.address4}/24 dev outside; ip address add ${outside.address6}/64 dev outside nodad
ip route add ${beyond.prefix4} via ${firewall?.address4}
ip -6 route add ${beyond.prefix6} via ${firewall?.address6}`,
  );
}

function buildHost(name: "user" | "service3", { address4, address6 }: Addresses): void {
  inNamespace(
    name,
    `${HOST_SETTINGS}
ip link set eth0 up
ip address add ${address4}/24 dev eth0
ip address add ${address6}/64 dev eth0 nodad`,
  );
}

/** What the host sends takes that site's routers from now on, as when a routing protocol has converged. */
export function leadUpstream(host: "user" | "service3", site: SiteName): void {
  const { address4, address6 } = host === "user" ? UPSTREAM.wan[site] : UPSTREAM.lan[site];
  inNamespace(host, `ip route replace default via ${address4}; ip -6 route replace default via ${address6}`);
}
