// Builds the picture from network namespaces, veth pairs and bridges; changes it while traffic runs. Works only inside the
// sandbox (sandbox.ts), which is what removes it.
//
//   namespace `switches` holds every bridge:  a-one ═dci═ b-one     a-three ═dci═ b-three     twin
//   every other namespace holds one machine:  A1 (A2) B1 (B2) service1 service3 user router
//
// The DCI is a veth pair between two bridges; an nftables bridge table drops the gateways' ARP, neighbour discovery and MAC
// where they would cross it, as DCI gear does where both sites are
// active. All veth ends have checksum, VLAN and segmentation offload off: otherwise packets
// carry partial checksums, and VLAN tags vanish before XDP sees them.

import { spawnSync } from "node:child_process";
import {
  LAB_HOSTS,
  LAB_UNITS,
  LAB_ZONES,
  type LabUnit,
  PORT_ONE,
  PORT_THREE,
  PORT_TWIN,
  ROUTER,
  SERVICE1,
  SERVICE3,
  SITES,
  type SiteName,
  siteOf,
  UPSTREAM_HOSTS,
  USER,
  WIRE,
  ZONE_ONE,
  ZONE_THREE,
} from "./picture.ts";
import { buildUpstreamHosts } from "./upstream.ts";

export const SWITCHES = "switches";
/** Gateways for hosts; between upstream routers (upstream.ts); a wire. */
export type Wiring = "routed" | "upstream" | "transparent";

export interface Standing {
  readonly wiring: Wiring;
  /** Left out: one per site. */
  readonly units?: readonly LabUnit[];
  /** One site stands by, so that its hosts need the other's gateway: the DCI lets it across. */
  readonly isPassive?: boolean;
}

/** Runs a shell script inside a namespace and returns its output. Throws with what the script said when it fails. */
export function inNamespace(name: string, script: string): string {
  const { status, stdout, stderr } = spawnSync("ip", ["netns", "exec", name, "sh", "-e", "-c", script], { encoding: "utf8", maxBuffer: 64 << 20 });
  if (status !== 0) throw new Error(`lab: in ${name}: ${stderr.trim() || `exit ${status}`}\n${script}`);
  return stdout;
}

export const OFFLOADS = "tx off txvlan off gso off tso off";

/** Shell lines for a cable from a bridge in `switches` to a device in another namespace. */
export function cable(bridge: string, port: string, namespace: string, device: string, mtuBytes: number): string {
  return `
ip link add ${port} mtu ${mtuBytes} type veth peer name ${device} mtu ${mtuBytes} netns ${namespace}
ip link set ${port} master ${bridge} up
ethtool -K ${port} ${OFFLOADS} >/dev/null
ip netns exec ${namespace} ethtool -K ${device} ${OFFLOADS} >/dev/null`;
}

export function bridge(name: string): string {
  return `ip link add ${name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0; ip link set ${name} up`;
}

/** Bridges, the cables to the units, and the DCI. */
function buildSwitches({ wiring, units = LAB_UNITS, isPassive = false }: Standing, twinMtuBytes: number): void {
  const lines = ["sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1", bridge("twin")];
  for (const site of SITES) for (const zone of LAB_ZONES) lines.push(bridge(`${site.toLowerCase()}-${zone.name}`));
  for (const unit of units) {
    const letter = siteOf(unit).toLowerCase();
    for (const zone of LAB_ZONES) lines.push(cable(`${letter}-${zone.name}`, `${unit}-${zone.name}`, unit, zone.device, 1_500));
    lines.push(cable("twin", `${unit}-twin`, unit, PORT_TWIN, twinMtuBytes));
  }
  if (wiring === "routed") {
    for (const { name } of LAB_ZONES) {
      lines.push(`ip link add dci-a-${name} type veth peer name dci-b-${name}`);
      for (const letter of ["a", "b"]) {
        lines.push(`ip link set dci-${letter}-${name} master ${letter}-${name} up; ethtool -K dci-${letter}-${name} ${OFFLOADS} >/dev/null`);
      }
    }
    if (!isPassive) lines.push(`nft -f - <<'RULES'\n${dciRules()}\nRULES`);
  }
  inNamespace(SWITCHES, lines.join("\n"));
}

/** An IPv6 address of the form a:b::c as one number, as nftables wants it in a raw payload match. */
function addressInHex(address: string): string {
  const [front = "", back = ""] = address.split("::");
  const groups = (text: string): string[] => text.split(":").filter((group) => group !== "");
  const missing = 8 - groups(front).length - groups(back).length;
  const all = [...groups(front), ...Array.from({ length: missing }, () => "0"), ...groups(back)];
  return `0x${all.map((group) => group.padStart(4, "0")).join("")}`;
}

/** What DCI gear keeps from crossing between the sites: the gateways, which answer at both. */
function dciRules(): string {
  const macs = LAB_ZONES.map((zone) => zone.gatewayMac).join(", ");
  const v4 = LAB_ZONES.map((zone) => zone.gateway4).join(", ");
  const v6 = LAB_ZONES.map((zone) => addressInHex(zone.gateway6)).join(", ");
  // @th,64,128 is the target address of a neighbour solicitation or advertisement (RFC 4861 §4.3, §4.4).
  return `
table bridge dci {
  chain filter {
    ether saddr { ${macs} } counter drop
    ether daddr { ${macs} } counter drop
    ether type arp arp saddr ip { ${v4} } counter drop
    ether type arp arp daddr ip { ${v4} } counter drop
    ether type ip6 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } @th,64,128 { ${v6} } counter drop
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname "dci-*" jump filter
    oifname "dci-*" jump filter
  }
}`;
}

/** Cables that can be cut, and counts on the wire, at the bridge port where a service's packets come in: nothing that a unit says about itself. */
function buildMeters(): void {
  const chain = (["service1", "service3"] as const).flatMap((name) =>
    ["tcp", "udp"].flatMap((protocol) => [`iifname "${name}*" meta l4proto ${protocol} counter name ${name}_${protocol}`]),
  );
  const counters = ["service1_tcp", "service1_udp", "service3_tcp", "service3_udp"].map((name) => `counter ${name} { }`);
  inNamespace(
    SWITCHES,
    `nft -f - <<'RULES'
table bridge count {
  ${counters.join("\n  ")}
  chain prerouting {
    type filter hook prerouting priority 0; policy accept;
    ${chain.join("\n    ")}
  }
}
table bridge cut {
  set ports { type ifname; }
  chain prerouting {
    type filter hook prerouting priority -10; policy accept;
    iifname @ports drop
  }
  chain output {
    type filter hook postrouting priority 0; policy accept;
    oifname @ports drop
  }
}
RULES`,
  );
}

/** Packets of one protocol that a service has put on the wire since the lab was built. */
export function packetsOnWire(service: "service1" | "service3", protocol: "tcp" | "udp"): number {
  const text = inNamespace(SWITCHES, `nft list counter bridge count ${service}_${protocol}`);
  return Number(/packets (\d+)/.exec(text)?.[1] ?? 0);
}

/** Packets that found the ring of a unit's ports full, so that they were lost on the cable to it, since the lab was built. */
export function lostOnCables(unit: LabUnit): number {
  const text = inNamespace(
    SWITCHES,
    `cat /sys/class/net/${unit}-one/statistics/tx_dropped /sys/class/net/${unit}-three/statistics/tx_dropped /sys/class/net/${unit}-twin/statistics/tx_dropped`,
  );
  return text
    .trim()
    .split("\n")
    .reduce((sum, line) => sum + Number(line), 0);
}

export const HOST_SETTINGS = `
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
ip link set lo up`;

/** Units: no forwarding by the kernel, no addresses on data ports. Managers talk over the twin port's link-local address. */
export function buildUnits(units: readonly LabUnit[]): void {
  for (const unit of units) {
    inNamespace(
      unit,
      `sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.${PORT_ONE}.disable_ipv6=1 net.ipv6.conf.${PORT_THREE}.disable_ipv6=1
sysctl -qw net.ipv6.conf.${PORT_TWIN}.accept_dad=0 net.ipv6.conf.${PORT_TWIN}.accept_ra=0 net.ipv6.conf.${PORT_TWIN}.router_solicitations=0
ip link set lo up
ip link set ${PORT_ONE} up; ip link set ${PORT_THREE} up; ip link set ${PORT_TWIN} up`,
    );
  }
}

function buildRoutedHosts(): void {
  inNamespace(
    SWITCHES,
    cable("a-one", "service1", "service1", "eth0", 1_500) +
      cable("b-three", "service3", "service3", "eth0", 1_500) +
      cable("a-one", "router-a", "router", "leg-a", 1_500) +
      cable("b-one", "router-b", "router", "leg-b", 1_500),
  );
  const hosts = [
    { name: "service1", own: SERVICE1, zone: ZONE_ONE },
    { name: "service3", own: SERVICE3, zone: ZONE_THREE },
  ];
  for (const { name, own, zone } of hosts) {
    inNamespace(
      name,
      `${HOST_SETTINGS}
ip link set eth0 up
ip address add ${own.address4}/24 dev eth0
ip address add ${own.address6}/64 dev eth0 nodad
ip route add default via ${zone.gateway4}
ip -6 route add default via ${zone.gateway6}`,
    );
  }
  buildUser();
}

/** The user and its router. The router's legs share address and MAC; exactly one is up. */
function buildUser(): void {
  inNamespace(
    "router",
    `${HOST_SETTINGS}
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip link add inner type veth peer name eth0 netns user
ethtool -K inner ${OFFLOADS} >/dev/null
ip netns exec user ethtool -K eth0 ${OFFLOADS} >/dev/null
for leg in leg-a leg-b; do
  ip link set $leg address ${ROUTER.mac}
  sysctl -qw net.ipv4.conf.$leg.arp_notify=1 net.ipv6.conf.$leg.ndisc_notify=1 net.ipv6.conf.$leg.keep_addr_on_down=0 net.ipv6.conf.$leg.accept_dad=0
done`,
  );
  inNamespace("user", HOST_SETTINGS);
  addressUserLine();
  moveUserPath("A");
}

/** Addresses and routes of the user and of the router's side towards it. */
function addressUserLine(): void {
  inNamespace(
    "router",
    `ip link set inner up
ip address add ${ROUTER.inner4}/24 dev inner
ip address add ${ROUTER.inner6}/64 dev inner nodad`,
  );
  inNamespace(
    "user",
    `ip link set eth0 up
ip address add ${USER.address4}/24 dev eth0
ip address add ${USER.address6}/64 dev eth0 nodad
ip route add default via ${ROUTER.inner4}
ip -6 route add default via ${ROUTER.inner6}`,
  );
}

/** Both services have a leg on either wire; routes send requests over A's and replies over B's. */
function buildTransparentHosts(): void {
  const cables = SITES.flatMap((site) => {
    const letter = site.toLowerCase();
    return [
      cable(`${letter}-one`, `service1-${letter}`, "service1", `leg-${letter}`, 1_500),
      cable(`${letter}-three`, `service3-${letter}`, "service3", `leg-${letter}`, 1_500),
    ];
  });
  inNamespace(SWITCHES, cables.join("\n"));
  const legs = (own: "service1" | "service3"): string =>
    SITES.map(
      (site) => `ip link set leg-${site.toLowerCase()} up
ip address add ${WIRE[site][`${own}v4`]}/24 dev leg-${site.toLowerCase()}
ip address add ${WIRE[site][`${own}v6`]}/64 dev leg-${site.toLowerCase()} nodad`,
    ).join("\n");
  const service = (own: typeof SERVICE1 | typeof SERVICE3): string =>
    `ip address add ${own.address4}/32 dev lo\nip address add ${own.address6}/128 dev lo nodad`;
  inNamespace(
    "service1",
    `${HOST_SETTINGS}\n${legs("service1")}\n${service(SERVICE1)}
ip route add ${SERVICE3.address4} via ${WIRE.A.service3v4} src ${SERVICE1.address4}
ip -6 route add ${SERVICE3.address6} via ${WIRE.A.service3v6} src ${SERVICE1.address6}`,
  );
  inNamespace(
    "service3",
    `${HOST_SETTINGS}\n${legs("service3")}\n${service(SERVICE3)}
ip route add ${SERVICE1.address4} via ${WIRE.B.service1v4} src ${SERVICE3.address4}
ip -6 route add ${SERVICE1.address6} via ${WIRE.B.service1v6} src ${SERVICE3.address6}`,
  );
}

/** Adds an empty namespace. Not by inNamespace: a namespace that is made inside another's mounts ends with the command that made it. */
export function addNamespace(name: string): void {
  const { status, stderr } = spawnSync("ip", ["netns", "add", name], { encoding: "utf8" });
  if (status !== 0) throw new Error(`lab: cannot add namespace ${name}: ${stderr.trim()}`);
}

/** Builds the whole picture. `twinMtuBytes`: 1,500 splits a handed-off full packet into two frames. */
export function buildTopology(standing: Standing, twinMtuBytes = 1_500): void {
  const { wiring, units = LAB_UNITS } = standing;
  for (const name of [SWITCHES, ...units, ...(wiring === "upstream" ? UPSTREAM_HOSTS : LAB_HOSTS)]) addNamespace(name);
  buildSwitches(standing, twinMtuBytes);
  buildMeters();
  buildUnits(units);
  if (wiring === "routed") buildRoutedHosts();
  else if (wiring === "upstream") buildUpstreamHosts();
  else buildTransparentHosts();
}

/** Takes the picture down so that another wiring can be built. Processes in the namespaces must have ended. */
export function removeTopology(): void {
  for (const name of namespacesHere()) spawnSync("ip", ["netns", "delete", name]);
}

/** Every namespace of the picture that stands: what a scenario has added, too. */
export function namespacesHere(): readonly string[] {
  const { stdout } = spawnSync("ip", ["netns", "list"], { encoding: "utf8" });
  return stdout
    .split("\n")
    .map((line) => line.split(" ")[0] ?? "")
    .filter(Boolean);
}

/** Puts a machine of its own, `name`, into the user's line: its devices `left` (router) and `right` (user) are joined by nothing yet. */
export function insertIntoUserLine(name: string): void {
  addNamespace(name);
  inNamespace(
    SWITCHES,
    `ip -n router link delete inner
ip -n ${name} link add left type veth peer name inner netns router
ip -n ${name} link add right type veth peer name eth0 netns user
for end in "${name} left" "${name} right" "router inner" "user eth0"; do
  set -- $end
  ip netns exec $1 ethtool -K $2 ${OFFLOADS} >/dev/null
done
ip netns exec ${name} sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip -n ${name} link set left up; ip -n ${name} link set right up`,
  );
  addressUserLine();
}

/** Cables a machine of its own, `name`, to zone one of a site by its device `eth0`, without an address. */
export function addMachine(name: string, site: SiteName): void {
  addNamespace(name);
  inNamespace(SWITCHES, cable(`${site.toLowerCase()}-one`, name, name, "eth0", 1_500));
  inNamespace(name, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip link set eth0 up");
}

/** Moves the user's path: the router's leg into that site comes up with a gratuitous ARP and an unsolicited advertisement. */
export function moveUserPath(site: SiteName): void {
  const leg = `leg-${site.toLowerCase()}`;
  const old = site === "A" ? "leg-b" : "leg-a";
  inNamespace(
    "router",
    `ip link set ${old} down
ip address flush dev ${old}
ip address replace ${ROUTER.address4}/24 dev ${leg}
ip address replace ${ROUTER.address6}/64 dev ${leg} nodad
ip link set ${leg} up
ip route replace default via ${ZONE_ONE.gateway4} dev ${leg}
ip -6 route replace default via ${ZONE_ONE.gateway6} dev ${leg}`,
  );
}

/** Requests from service1 take that site's wire from now on. */
export function moveWirePath(site: SiteName): void {
  inNamespace(
    "service1",
    `ip route replace ${SERVICE3.address4} via ${WIRE[site].service3v4} src ${SERVICE1.address4}
ip -6 route replace ${SERVICE3.address6} via ${WIRE[site].service3v6} src ${SERVICE1.address6}`,
  );
}

/**
 * Moves service1, a virtual machine, to the other data centre: its cable hangs on that site's bridge, and it announces itself there by a
 * gratuitous ARP and an unsolicited advertisement, which the kernel sends when an address is set, if it is asked to.
 */
export function moveService1(site: SiteName): void {
  inNamespace("service1", "sysctl -qw net.ipv4.conf.eth0.arp_notify=1 net.ipv6.conf.eth0.ndisc_notify=1");
  inNamespace(SWITCHES, `ip link set service1 master ${site.toLowerCase()}-one`);
  inNamespace("service1", "ip link set eth0 address $(cat /sys/class/net/eth0/address)");
}

/** Cuts (or heals) a unit's cable to the twin segment. The link stays up on both ends: nobody is told. */
export function setTwinLink(unit: LabUnit, isWhole: boolean): void {
  inNamespace(SWITCHES, `nft ${isWhole ? "delete" : "add"} element bridge cut ports '{ "${unit}-twin" }'`);
}

/** Heals every cable to the twin segment, cut or not. */
export function healTwinLinks(): void {
  inNamespace(SWITCHES, "nft flush set bridge cut ports");
}

/** Removes and returns a unit's power as far as its neighbours see it: the links at its bridge ports. */
export function setUnitLinks(unit: LabUnit, isUp: boolean): void {
  const state = isUp ? "up" : "down";
  inNamespace(SWITCHES, [`${unit}-one`, `${unit}-three`, `${unit}-twin`].map((port) => `ip link set ${port} ${state}`).join("\n"));
}
