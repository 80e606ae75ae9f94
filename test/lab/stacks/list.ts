// The second list: real stacks stay whole, and a flood does not hurt them. `npm start -- stacks`.

import type { LabOptions } from "../configuration.ts";
import type { Scenario } from "../scenarios.ts";
import { commitConfirm, commitPolicy } from "./commit.ts";
import { datagrams } from "./datagrams.ts";
import { synFlood } from "./flood.ts";
import { IDLE_OPTIONS, idle } from "./idle.ts";
import { loss } from "./loss.ts";
import { NARROW_PORT_OPTIONS, narrowPort, pathMtu } from "./path-mtu.ts";
import { traceroute } from "./traceroute.ts";
import { curl, iperf, ssh } from "./transfers.ts";

const ROUTED: LabOptions = { wiring: "routed", twin: true };

export const STACKS: readonly Scenario[] = [
  { name: "stack-curl", sentence: "curl loads down and up, over IPv4 and IPv6, through one unit and through both.", options: ROUTED, run: curl },
  { name: "stack-ssh", sentence: "ssh runs a command and streams files, through one unit and through both.", options: ROUTED, run: ssh },
  { name: "stack-iperf", sentence: "iperf3 with 8 streams at full speed, up and down, through one unit and through both.", options: ROUTED, run: iperf },
  { name: "stack-idle", sentence: "Idle sessions live by their keep-alives (time is scaled), and only by them.", options: IDLE_OPTIONS, run: idle },
  {
    name: "stack-mtu-ipv4",
    sentence: "A narrow link behind the router: the sender hears of it, also when the error arrives at the other site.",
    options: ROUTED,
    run: (lab) => pathMtu(lab, 4),
  },
  { name: "stack-mtu-ipv6", sentence: "The same over IPv6.", options: ROUTED, run: (lab) => pathMtu(lab, 6) },
  { name: "stack-mtu-own", sentence: "A narrow port of the units: they say so themselves.", options: NARROW_PORT_OPTIONS, run: narrowPort },
  {
    name: "stack-traceroute",
    sentence: "traceroute sees every hop, both ways, by UDP and ICMP, through one unit and through both.",
    options: ROUTED,
    run: traceroute,
  },
  { name: "stack-loss", sentence: "Linux's TCP on a line that loses 1 % and reorders 1 %: no segment is taken for an intruder's.", options: ROUTED, run: loss },
  {
    name: "stack-datagrams",
    sentence: "Large UDP datagrams come back whole, as fragments, through one unit and through both.",
    options: ROUTED,
    run: datagrams,
  },
  {
    name: "syn-flood",
    sentence: "A SYN flood at half the rate that forwarding alone sustains, through the unit that carries transfers.",
    options: ROUTED,
    run: (lab) => synFlood(lab, "B"),
  },
  {
    name: "syn-flood-asymmetric",
    sentence: "The same with the flood entering through A1 and its answers through B1.",
    options: ROUTED,
    run: (lab) => synFlood(lab, "A"),
  },
  {
    name: "commit-policy",
    sentence: "A rule is denied at A1's console: it blocks at B too, without a restart; what is permitted goes on, what is not ends.",
    options: ROUTED,
    run: commitPolicy,
  },
  {
    name: "commit-confirm",
    sentence: "A commit that nobody confirms, and the link is cut: both units go back by themselves.",
    options: ROUTED,
    run: commitConfirm,
  },
];
