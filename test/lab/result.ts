// What a scenario leaves behind, whether it ran on kernel network stacks (test/lab) or in the simulator (test/sim/lab.ts). The
// table at the end, `--json` and the tests all read this and nothing else.

export type LabDriver = "afxdp" | "pcap" | "simulator";

/** Every scenario's name, in the order in which they run. */
export const SCENARIO_NAMES = [
  "twin-off",
  "reply-routed-ipv4",
  "reply-routed-ipv6",
  "reply-transparent-ipv4",
  "reply-transparent-ipv6",
  "first-packets-tcp",
  "first-packets-udp",
  "dataplane-killed",
  "unit-killed",
  "unit-rebooted",
  "link-cut",
] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

/** The second list: what else real stacks do (test/lab/stacks). It needs network stacks, so the simulator does not know it. */
export const STACK_NAMES = [
  "stack-curl",
  "stack-ssh",
  "stack-iperf",
  "stack-idle",
  "stack-mtu-ipv4",
  "stack-mtu-ipv6",
  "stack-mtu-own",
  "stack-traceroute",
  "stack-loss",
  "stack-datagrams",
  "syn-flood",
  "syn-flood-asymmetric",
  "commit-policy",
  "commit-confirm",
] as const;
export type StackName = (typeof STACK_NAMES)[number];

/** The third list: two pairs (test/lab/pairs). A name ends with the deployment. */
export const PAIR_NAMES = [
  "pair-active-killed-gateway",
  "pair-active-killed-upstream",
  "pair-active-killed-passive",
  "pair-active-killed-transparent",
  "pair-ingress-killed-gateway",
  "pair-ingress-killed-upstream",
  "pair-ingress-killed-transparent",
  "site-killed-gateway",
  "site-killed-upstream",
  "site-killed-passive",
  "site-killed-transparent",
  "link-cut-one-gateway",
  "link-cut-one-upstream",
  "link-cut-one-passive",
  "link-cut-one-transparent",
  "link-cut-all-gateway",
  "link-cut-all-upstream",
  "link-cut-all-passive",
  "link-cut-all-transparent",
  "vm-moves-gateway",
  "vm-moves-passive",
  "site-drained-gateway",
  "site-drained-upstream",
  "site-drained-passive",
  "site-drained-transparent",
  "unit-returns-gateway",
  "unit-returns-upstream",
  "unit-returns-passive",
  "unit-returns-transparent",
  "commit-blocks-gateway",
  "commit-reverts-gateway",
  "commit-refused-gateway",
  "commit-conflict-gateway",
] as const;
export type PairName = (typeof PAIR_NAMES)[number];

/** The fourth list: two pairs and as many sessions as the product's standard table holds. */
export const CROWD_NAMES = ["crowd-active-killed"] as const;
export type CrowdName = (typeof CROWD_NAMES)[number];

export type AnyName = ScenarioName | StackName | PairName | CrowdName;
export const ALL_NAMES: readonly AnyName[] = [...SCENARIO_NAMES, ...STACK_NAMES, ...PAIR_NAMES, ...CROWD_NAMES];

export interface ScenarioResult {
  readonly name: AnyName;
  readonly passed: boolean;
  /** What was seen, or why it failed, in one sentence. */
  readonly detail: string;
  /** Longest time without a received byte in the transfer, in milliseconds; absent where there was no transfer. */
  readonly gapMs?: number;
  /** Of a takeover: from the last sign of life of who died to the decision, and from there to the first packet, in milliseconds. */
  readonly decidedMs?: number;
  readonly firstPacketMs?: number;
  /** Transfers that ran while something happened, and those of them that broke or came otherwise than they were sent. */
  readonly transfers?: number;
  readonly lost?: number;
  /** Application bytes that arrived intact. */
  readonly bytes?: number;
  /** Packets that reached another unit's owner over the twin's data channel, all units together. */
  readonly handedOff?: number;
  /** Short connections or exchanges that succeeded and that did not. */
  readonly exchanges?: number;
  readonly failures?: number;
  /** The drop reason that ended the transaction, where that is what the scenario shows. */
  readonly dropReason?: string;
  /** The longest time that the machine did not run a dataplane, in milliseconds; absent when it ran all of them. */
  readonly pauseMs?: number;
  /** Runs that it took; absent when it was one. More only if the machine itself stood still during the first. */
  readonly attempts?: number;
  /** Wall time of the whole scenario (virtual time in the simulator), in milliseconds. */
  readonly durationMs: number;
}

/** What `--json` prints. */
export interface LabReport {
  readonly driver: LabDriver;
  readonly scenarios: readonly ScenarioResult[];
  readonly passed: number;
  readonly failed: number;
  /** What failed, and why, in a sentence each. */
  readonly failures: readonly string[];
  /** Where each scenario ran more than once: one entry per scenario. */
  readonly repeats?: readonly Repeats[];
}

/** What a scenario showed in all its runs, with `--repeat`. */
export interface Repeats {
  readonly name: AnyName;
  readonly runs: number;
  readonly passed: number;
  /** Runs that lost no transfer and did not go as they should while the machine did not run a dataplane for too long. */
  readonly disturbed: number;
  /** Runs during which the machine did not run a dataplane for longer than half the detection time, and the longest such time. */
  readonly paused: number;
  readonly pauseWorstMs?: number;
  readonly transfers: number;
  readonly lost: number;
  /** Over all runs, the longest time without a received byte, in milliseconds; absent where there was no transfer. */
  readonly gapMedianMs?: number;
  readonly gapWorstMs?: number;
  /** The longest decision and the longest time to the first packet of all takeovers; absent where there was none that is judged. */
  readonly decidedWorstMs?: number;
  readonly firstPacketWorstMs?: number;
}

/** One entry per scenario, in the order of the results. */
export function repeatsOf(results: readonly ScenarioResult[]): readonly Repeats[] {
  return [...new Set(results.map(({ name }) => name))].map((name) => {
    const runs = results.filter((result) => result.name === name);
    const gaps = runs.flatMap(({ gapMs }) => (gapMs === undefined ? [] : [gapMs])).toSorted((a, b) => a - b);
    const pauses = runs.flatMap(({ pauseMs }) => (pauseMs === undefined ? [] : [pauseMs]));
    const worst = (values: readonly (number | undefined)[]): number => Math.max(...values.map((value) => value ?? 0));
    const sum = (of: (result: ScenarioResult) => number | undefined): number => runs.reduce((total, result) => total + (of(result) ?? 0), 0);
    return {
      name,
      runs: runs.length,
      passed: runs.filter(({ passed }) => passed).length,
      disturbed: runs.filter(isDisturbed).length,
      paused: pauses.length,
      ...(pauses.length > 0 && { pauseWorstMs: Math.max(...pauses) }),
      transfers: sum(({ transfers }) => transfers),
      lost: sum(({ lost }) => lost),
      ...(gaps.length > 0 && { gapMedianMs: gaps[gaps.length >> 1] as number, gapWorstMs: gaps.at(-1) as number }),
      ...(runs.some(({ firstPacketMs }) => firstPacketMs !== undefined) && {
        decidedWorstMs: worst(runs.map(({ decidedMs }) => decidedMs)),
        firstPacketWorstMs: worst(runs.map(({ firstPacketMs }) => firstPacketMs)),
      }),
    };
  });
}

/** The machine, not Twinwall, had an accident of its own; a lost transfer is a lost transfer all the same. */
function isDisturbed({ passed, pauseMs, transfers = 0, lost = 0 }: ScenarioResult): boolean {
  return !passed && pauseMs !== undefined && transfers > 0 && lost === 0;
}

/** `repeat`: how often each scenario was to run; of more than once, disturbed runs have not failed. */
export function reportOf(driver: LabDriver, scenarios: readonly ScenarioResult[], repeat = 1): LabReport {
  const passed = scenarios.filter((result) => result.passed).length;
  const failed = scenarios.filter((result) => !result.passed && (repeat === 1 || !isDisturbed(result)));
  const report = { driver, scenarios, passed, failed: failed.length, failures: failed.map(({ name, detail }) => `${name}: ${detail}`) };
  return repeat === 1 ? report : { ...report, repeats: repeatsOf(scenarios) };
}
