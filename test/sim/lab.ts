// The lab's scenarios in the simulator, for machines without root, namespaces or AF_XDP. The same names, the same picture, the
// same account (test/lab/result.ts); hosts are the simulator's, and time is virtual, so that gaps are exact.

import { type CounterName, counterRow } from "../../firmware/fastpath/memory/tables.ts";
import { DROP_NAMES } from "../../firmware/fastpath/verdicts.ts";
import { type LabReport, reportOf, SCENARIO_NAMES, type ScenarioName, type ScenarioResult } from "../lab/result.ts";
import { Invariants, memberState, rowsOf } from "./invariants.ts";
import { TCP, UDP } from "./packets.ts";
import { addressesOf, Picture, type PictureOptions } from "./picture.ts";
import { PolicyOracle } from "./policy-oracle.ts";
import { download, type Exchange, exchange, type Transfer } from "./services.ts";
import type { Builder, SimUnit } from "./unit.ts";

const SEED = 2;
const MEBIBYTE = 1 << 20;
const SHORT_CONNECTIONS = 2_000;
/** How long a manager takes to bring a dataplane back. */
const RESTART_MILLIS = 150;

export interface LabOptions {
  readonly build: Builder;
  /** Bytes of each transfer; the real lab moves 64 MiB. */
  readonly transferBytes?: number;
  readonly names?: readonly ScenarioName[];
  /** Told what happens, as it happens. */
  readonly onLine?: (line: string) => void;
}

type Account = Omit<ScenarioResult, "name" | "durationMs">;

/** Runs the scenarios one after another, each in a world of its own. */
export function runSimulatedScenarios(options: LabOptions): LabReport {
  const names = options.names ?? SCENARIO_NAMES;
  return reportOf(
    "simulator",
    names.map((name) => runScenario(name, options)),
  );
}

function runScenario(name: ScenarioName, options: LabOptions): ScenarioResult {
  const scene = new Scene(name, options);
  let account: Account;
  try {
    account = SCENARIOS[name](scene);
  } catch (error) {
    account = { passed: false, detail: (error as Error).message };
  }
  return { name, ...account, durationMs: Math.round(scene.picture.world.schedule.nowMicros / 1_000) };
}

const SETTINGS: Partial<Record<ScenarioName, Partial<PictureOptions>>> = {
  "twin-off": { twin: false },
  "reply-transparent-ipv4": { mode: "transparent" },
  "reply-transparent-ipv6": { mode: "transparent" },
};

/** A picture, watched, and what scenarios ask of it. */
class Scene {
  readonly picture: Picture;
  readonly invariants: Invariants;
  readonly bytes: number;
  private readonly sent = { tcp: 0, udp: 0 };

  constructor(name: ScenarioName, options: LabOptions) {
    this.bytes = options.transferBytes ?? 16 * MEBIBYTE;
    this.picture = new Picture(SEED, { build: options.build, sessions: 8_192, ...SETTINGS[name] });
    const { world } = this.picture;
    world.trace.onNote = options.onLine === undefined ? null : (line) => options.onLine?.(`${name}: ${line.trim()}`);
    new PolicyOracle(world);
    const judged = world.onSent;
    world.onSent = (host, packet, frame) => {
      if (host === this.picture.service3 && packet.protocol === TCP) this.sent.tcp++;
      if (host === this.picture.service3 && packet.protocol === UDP) this.sent.udp++;
      judged?.(host, packet, frame);
    };
    this.invariants = new Invariants(this.picture);
    this.picture.start();
  }

  /** Packets that service3 has sent. */
  replies(protocol: "tcp" | "udp"): number {
    return this.sent[protocol];
  }

  get handedOff(): number {
    return this.picture.units.reduce((sum, unit) => sum + counter(unit, "handed-here"), 0);
  }

  /** Lets a transfer go on until it ends. */
  finish(transfer: Transfer, limitMillis = 60_000): void {
    this.picture.world.runUntil(() => transfer.end !== null, limitMillis);
  }

  /** Lets a transfer get half way. */
  halfWay(transfer: Transfer): void {
    if (!this.picture.world.runUntil(() => transfer.receivedBytes > transfer.wantedBytes / 2, 60_000, 1)) throw new Error("the transfer did not get half way");
  }

  /** Waits until nothing moves, then checks what must hold. */
  settle(): void {
    this.picture.world.run(6_000);
    this.invariants.afterHealing();
  }
}

export function counter(unit: SimUnit, name: CounterName): number {
  return unit.tables?.counters.f[counterRow(name)] ?? 0;
}

/** The drop reason that a unit counted most. */
function mainDrop(unit: SimUnit): string {
  const counters = unit.tables?.counters.f;
  let most = 0;
  for (let reason = 1; reason < DROP_NAMES.length; reason++) if ((counters?.[reason] ?? 0) > (counters?.[most] ?? 0) || most === 0) most = reason;
  return DROP_NAMES[most] as string;
}

function accountOf(scene: Scene, transfer: Transfer, what: string): Account {
  const gapMs = Math.round(transfer.gapMicros / 100) / 10;
  const detail = transfer.complete
    ? what
    : `the transfer ended with ${transfer.end ?? "nothing"} after ${transfer.receivedBytes} of ${transfer.wantedBytes} bytes`;
  return { passed: transfer.complete, detail, gapMs, bytes: transfer.receivedBytes, handedOff: scene.handedOff };
}

function twinOff(scene: Scene): Account {
  const { picture } = scene;
  const transfer = download(picture.service1, addressesOf(true).service3, { bytes: MEBIBYTE });
  picture.world.run(5_000);
  const dropReason = mainDrop(picture.unit("B1"));
  const passed = !transfer.established && transfer.receivedBytes === 0;
  return {
    passed,
    detail: passed ? `B1 never saw the opening packet and drops the answer: ${dropReason}.` : "The transaction lived, which it must not.",
    bytes: transfer.receivedBytes,
    dropReason,
    handedOff: scene.handedOff,
  };
}

function reply(v4: boolean): (scene: Scene) => Account {
  return (scene) => {
    const { picture } = scene;
    const transfer = download(picture.service1, addressesOf(v4).service3, { bytes: scene.bytes });
    scene.finish(transfer);
    scene.settle();
    const account = accountOf(scene, transfer, `Complete and right; B1 handed each of ${scene.replies("tcp")} replies to A1 once.`);
    if (!account.passed || scene.handedOff === scene.replies("tcp")) return account;
    return { ...account, passed: false, detail: `Complete, but ${scene.handedOff} packets were handed off for ${scene.replies("tcp")} replies.` };
  };
}

function firstPacketsTcp(scene: Scene): Account {
  const { picture } = scene;
  const transfers: Transfer[] = [];
  for (let k = 0; k < SHORT_CONNECTIONS; k++) {
    picture.world.schedule.after(k * 1_000, () => transfers.push(download(picture.service1, addressesOf(true).service3, { bytes: 1_000 })));
  }
  picture.world.runUntil(() => transfers.length === SHORT_CONNECTIONS && transfers.every(({ end }) => end !== null), 60_000, 100);
  const exchanges = transfers.filter(({ complete, connection }) => complete && connection.retransmissions === 0).length;
  scene.settle();
  return exchangesAccount(scene, exchanges, "connections");
}

function firstPacketsUdp(scene: Scene): Account {
  const { picture } = scene;
  const sent: Exchange[] = [];
  for (let k = 0; k < SHORT_CONNECTIONS; k++) {
    picture.world.schedule.after(k * 1_000, () => sent.push(exchange(picture.service1, addressesOf(true).service3)));
  }
  picture.world.run(SHORT_CONNECTIONS + 1_000);
  const answered = sent.filter(({ answers }) => answers === 1).length;
  scene.settle();
  return exchangesAccount(scene, answered, "exchanges");
}

function exchangesAccount(scene: Scene, good: number, what: string): Account {
  const failures = SHORT_CONNECTIONS - good;
  return {
    passed: failures === 0,
    detail: `${good} of ${SHORT_CONNECTIONS} ${what} succeeded, every first answer by way of the twin.`,
    exchanges: good,
    failures,
    handedOff: scene.handedOff,
  };
}

function dataplaneKilled(scene: Scene): Account {
  const { picture } = scene;
  const unit = picture.unit("A1");
  const transfer = download(picture.service1, addressesOf(true).service3, { bytes: scene.bytes });
  scene.halfWay(transfer);
  unit.crash(false);
  picture.world.run(RESTART_MILLIS);
  unit.start();
  scene.finish(transfer);
  scene.settle();
  return accountOf(scene, transfer, `A1's dataplane died, was back after ${RESTART_MILLIS} ms and adopted its sessions.`);
}

/** A user's download through A1, which dies half way; the user's path moves to B. */
function killUnit(scene: Scene): Transfer {
  const { picture } = scene;
  const transfer = download(picture.world.host("user"), addressesOf(true).service3, { bytes: scene.bytes });
  scene.halfWay(transfer);
  picture.unit("A1").crash(true);
  picture.world.run(100);
  picture.moveUser("B");
  return transfer;
}

function unitKilled(scene: Scene): Account {
  const transfer = killUnit(scene);
  scene.finish(transfer);
  const { picture } = scene;
  const state = memberState(picture.unit("B1"), picture.unit("A1"));
  if (state !== "dead") return { ...accountOf(scene, transfer, ""), passed: false, detail: `B1 holds A1 for ${state}, not dead.` };
  return accountOf(scene, transfer, "A1 died whole, B1 adopted its sessions and the user came in by B.");
}

function unitRebooted(scene: Scene): Account {
  const { picture } = scene;
  const transfer = killUnit(scene);
  picture.world.run(500);
  picture.unit("A1").start();
  scene.finish(transfer);
  const later = download(picture.service1, addressesOf(true).service3, { bytes: scene.bytes / 4 });
  scene.finish(later);
  scene.settle();
  const account = accountOf(scene, transfer, "A1 came back without its memory, caught up, and nothing was lost; the tables are equal.");
  return later.complete ? account : { ...account, passed: false, detail: `After A1's return a new transfer ended with ${later.end ?? "nothing"}.` };
}

function linkCut(scene: Scene): Account {
  const { picture } = scene;
  const user = picture.world.host("user");
  const transfer = download(picture.service1, addressesOf(true).service3, { bytes: scene.bytes });
  scene.halfWay(transfer);
  picture.moveUser("B");
  picture.cutTwin("A1", true);
  picture.world.run(1_000);
  const seen = [memberState(picture.unit("A1"), picture.unit("B1")), memberState(picture.unit("B1"), picture.unit("A1"))];
  const meanwhile = Array.from({ length: 20 }, () => download(user, addressesOf(true).service3, { bytes: 20_000 }));
  picture.world.run(1_000);
  const created = meanwhile.filter(({ established }) => established).length;
  picture.cutTwin("A1", false);
  picture.world.run(500);
  const replicated = rowsOf(picture.unit("A1")).length;
  scene.finish(transfer);
  scene.settle();
  const account = accountOf(
    scene,
    transfer,
    `Partitioned for 2 s, not dead; ${created} sessions were made meanwhile, A1 then held ${replicated} rows; the tables are equal.`,
  );
  if (seen.some((state) => state !== "partitioned"))
    return { ...account, passed: false, detail: `During the cut the units held each other for ${seen.join(" and ")}.` };
  return created === meanwhile.length
    ? account
    : { ...account, passed: false, detail: `Only ${created} of ${meanwhile.length} sessions could be made at B during the cut.` };
}

const SCENARIOS: Readonly<Record<ScenarioName, (scene: Scene) => Account>> = {
  "twin-off": twinOff,
  "reply-routed-ipv4": reply(true),
  "reply-routed-ipv6": reply(false),
  "reply-transparent-ipv4": reply(true),
  "reply-transparent-ipv6": reply(false),
  "first-packets-tcp": firstPacketsTcp,
  "first-packets-udp": firstPacketsUdp,
  "dataplane-killed": dataplaneKilled,
  "unit-killed": unitKilled,
  "unit-rebooted": unitRebooted,
  "link-cut": linkCut,
};
