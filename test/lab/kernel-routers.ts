// The picture with plain kernel routers in place of Twinwall's units, to try the topology itself: stateless, so that asymmetric
// traffic passes. Runs inside the sandbox (topology.test.ts starts it) and prints what it saw as one JSON object.
//
// A router owns the site address and MAC; the gateway's address and MAC sit on a macvlan beside it, which answers and never sends.

import { exchangeWith, startDownload, startServices } from "./hosts.ts";
import { LAB_ZONES, PORT_TWIN, ROUTER, SERVICE3, SITES, type SiteName, USER, unitOf } from "./picture.ts";
import { buildTopology, inNamespace, moveUserPath, packetsOnWire, removeTopology, setTwinLink } from "./topology.ts";

const SMALL_BYTES = 1 << 20;

function becomeRouter(site: SiteName): void {
  const zones = LAB_ZONES.map((zone) => {
    const { mac, address4, address6 } = zone.site[site];
    const gateway = `gw-${zone.name}`;
    return `
ip link set ${zone.device} address ${mac}
ip link add ${gateway} link ${zone.device} address ${zone.gatewayMac} type macvlan mode private
ethtool -K ${gateway} tx off >/dev/null 2>&1 || true
sysctl -qw net.ipv6.conf.${zone.device}.disable_ipv6=0 net.ipv4.conf.${zone.device}.arp_ignore=1 net.ipv4.conf.${gateway}.arp_ignore=1
ip address add ${address4}/24 dev ${zone.device}
ip address add ${address6}/64 dev ${zone.device} nodad
ip address add ${zone.gateway4}/32 dev ${gateway}
ip address add ${zone.gateway6}/128 dev ${gateway} nodad
ip link set ${gateway} up`;
  });
  inNamespace(
    unitOf(site),
    `sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
${zones.join("\n")}
ip route add ${USER.prefix4} via ${ROUTER.address4}
ip -6 route add ${USER.prefix6} via ${ROUTER.address6}`,
  );
}

/** Packets that a unit's port has received, from the kernel's own counters. */
function receivedBy(site: SiteName, device: string): number {
  return Number(inNamespace(unitOf(site), `cat /sys/class/net/${device}/statistics/rx_packets`));
}

async function routed(): Promise<object> {
  buildTopology({ wiring: "routed" });
  for (const site of SITES) becomeRouter(site);
  const services = await startServices("service3");
  const before = { replies: packetsOnWire("service3", "tcp"), a: receivedBy("A", "port2"), b: receivedBy("B", "port2") };
  const v4 = await startDownload("service1", SERVICE3.address4, { bytes: SMALL_BYTES }).finished;
  const onWire = packetsOnWire("service3", "tcp") - before.replies;
  const atA = receivedBy("A", "port2") - before.a;
  const atB = receivedBy("B", "port2") - before.b;
  const v6 = await startDownload("service1", SERVICE3.address6, { bytes: SMALL_BYTES }).finished;
  const fromA = receivedBy("A", "port1");
  const viaA = await startDownload("user", SERVICE3.address4, { bytes: SMALL_BYTES }).finished;
  const fromAAfter = receivedBy("A", "port1");
  const fromB = receivedBy("B", "port1");
  moveUserPath("B");
  const viaB = await startDownload("user", SERVICE3.address6, { bytes: SMALL_BYTES }).finished;
  const fromBAfter = receivedBy("B", "port1");
  const tcp = await exchangeWith("service1", "tcp", SERVICE3.address4, { count: 50, concurrency: 8 });
  const udp = await exchangeWith("service1", "udp", SERVICE3.address6, { count: 50, concurrency: 8 });
  services.stop();
  return {
    intact: [v4, v6, viaA, viaB].map((result) => result.intact),
    repliesOnWire: onWire,
    repliesAtA: atA,
    repliesAtB: atB,
    userPacketsAtA: fromAAfter - fromA,
    userPacketsAtB: fromBAfter - fromB,
    tcp: tcp.succeeded,
    udp: udp.succeeded,
  };
}

/** An exchange between the units over the twin segment before, during and after a cut, and the neighbour's carrier during it. */
async function twinLink(): Promise<object> {
  const [ours, theirs] = ["192.168.255.1", "192.168.255.3"] as const;
  inNamespace("A1", `ip address add ${ours}/24 dev ${PORT_TWIN}`);
  inNamespace("B1", `ip address add ${theirs}/24 dev ${PORT_TWIN}`);
  const services = await startServices("B1");
  const reach = async (): Promise<boolean> => (await exchangeWith("A1", "udp", theirs, { count: 1, concurrency: 1 })).succeeded === 1;
  const before = await reach();
  setTwinLink("A1", false);
  const during = await reach();
  const carrier = inNamespace("B1", `cat /sys/class/net/${PORT_TWIN}/carrier`).trim();
  setTwinLink("A1", true);
  const after = await reach();
  services.stop();
  return { before, during, after, carrier };
}

async function transparent(): Promise<object> {
  buildTopology({ wiring: "transparent" });
  for (const site of SITES) {
    inNamespace(
      unitOf(site),
      "ip link add wire type bridge mcast_snooping 0; ip link set wire up; ip link set port1 master wire; ip link set port2 master wire",
    );
  }
  const services = await startServices("service3");
  const b = receivedBy("B", "port2");
  const a = receivedBy("A", "port2");
  const v4 = await startDownload("service1", SERVICE3.address4, { bytes: SMALL_BYTES }).finished;
  const atA = receivedBy("A", "port2") - a;
  const atB = receivedBy("B", "port2") - b;
  const v6 = await startDownload("service1", SERVICE3.address6, { bytes: SMALL_BYTES }).finished;
  services.stop();
  return { intact: [v4, v6].map((result) => result.intact), repliesAtA: atA, repliesAtB: atB };
}

const inRoutedWiring = await routed();
const overTwinLink = await twinLink();
removeTopology();
console.log(JSON.stringify({ routed: inRoutedWiring, twin: overTwinLink, transparent: await transparent() }));
process.exit(0);
