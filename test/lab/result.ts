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
] as const;
export type StackName = (typeof STACK_NAMES)[number];

export interface ScenarioResult {
  readonly name: ScenarioName | StackName;
  readonly passed: boolean;
  /** What was seen, or why it failed, in one sentence. */
  readonly detail: string;
  /** Longest time without a received byte in the transfer, in milliseconds; absent where there was no transfer. */
  readonly gapMs?: number;
  /** Application bytes that arrived intact. */
  readonly bytes?: number;
  /** Packets that reached another unit's owner over the twin's data channel, all units together. */
  readonly handedOff?: number;
  /** Short connections or exchanges that succeeded and that did not. */
  readonly exchanges?: number;
  readonly failures?: number;
  /** The drop reason that ended the transaction, where that is what the scenario shows. */
  readonly dropReason?: string;
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
}

export function reportOf(driver: LabDriver, scenarios: readonly ScenarioResult[]): LabReport {
  const passed = scenarios.filter((result) => result.passed).length;
  return { driver, scenarios, passed, failed: scenarios.length - passed };
}
