// Forwarding: what a packet of an established session costs, and how many pass, beside the peers. Conditions are varied one at a time
// around 64 bytes, 100,000 sessions, 100 rules; under each, all devices stand side by side, and rounds go from one to the next.
//
//   condition ─► start devices ─► set up sessions ─► round 1: ours, kernel, reflector ─► round 2 … ─► first packets ─► stop

import { setTimeout as pause } from "node:timers/promises";
import { tellProgress } from "../agent.ts";
import { missingOf } from "../peers.ts";
import { type Chart, type Comparison, compare, type Growth, median, type Outcome } from "../result.ts";
import { DEVICE_TITLES, type Device, type DeviceName, hasPcap, startDevice } from "./devices.ts";
import {
  type Care,
  type Condition,
  type Cost,
  cheaperPlacement,
  establish,
  fasterPlacement,
  firstPacketsPerSecond,
  forwardedPerSecond,
  measureCost,
  overloadedPerSecond,
} from "./measure.ts";
import { type Placement, Stand } from "./stand.ts";

const NAME = "forwarding";
const BASE: Condition = { bytes: 64, sessions: 100_000, rules: 100 };
const CONDITIONS: readonly Condition[] = [
  BASE,
  { ...BASE, sessions: 1_000 },
  { ...BASE, sessions: 1_000_000 },
  { ...BASE, bytes: 1_500 },
  { ...BASE, rules: 1 },
  { ...BASE, rules: 10_000 },
];
const QUICK_CONDITIONS: readonly Condition[] = [{ bytes: 64, sessions: 1_000, rules: 100 }];
const CARE: Care = { costMillis: 1_500, stepMillis: 400, resolution: 1.03 };
const QUICK_CARE: Care = { costMillis: 200, stepMillis: 60, resolution: 1.5 };
const ROUNDS = 3;
/** What every device but node-pcap forwards with ease, and what that one does. */
const COST_RATE = 200_000;
const PCAP_COST_RATE = 10_000;
/** Of the highest rate without loss. */
const FULL_LOAD = 0.9;
/** Where a busy machine lets nothing through without loss. */
const RATE_AT_LEAST = 5_000;
const FIRST_PACKETS = 60_000;
const FIRST_PACKETS_RATE = 400_000;
/** Sessions that no condition has established. */
const FIRST_UNUSED = 0x4000000;
/** Of a core: others that use more make the figures count only what is ours. */
const OTHERS_MOST = 0.04;

const FLOORS: Readonly<Partial<Record<DeviceName, number>>> = { kernel: 0.95, reflector: 0.8, pcap: 3 };
const FIRST_PACKETS_FLOOR = 5;

export const FORWARDING_PARAGRAPH = `The same UDP packets, evenly paced, of the same sessions in random order, with right checksums, come from a generator (an AF_XDP sender in C, core 0) over a veth
cable to the device under test (core 1, nice -20) and over another to a sink that counts and drops them. Twinwall is the appliance's packet process with TypeScript's whole walk: checks,
checksums, session, routes. nftables is the kernel's routing, conntrack (checksums on, as both have by default; reverse-path filter off) and one forward chain: established first, then
the rules in order, the last of which permits. The reflector (C) and the node-pcap forwarder change addresses and judge nothing. The plain reflector waits in poll for each packet; Twinwall lets packets gather for up to
100 us while more than 100,000 a second come, and so does the reflector's second form, which shows what TypeScript and its judgement cost. What the floors apply to is CPU time per forwarded
packet at the same fixed rate (beside node-pcap, which does not reach it: at nine tenths of each one's highest), over all cores, less the generator's own: on veth, receiving runs where the sender is (an AF_XDP receive copy, too, and all of the kernel's forwarding) unless its NAPI has a thread,
so that packets/s alone would credit one device with another's core. The generator's own is what the same load costs it when its packets end at an unplugged cable; waiting for a packet's
time is nobody's. For each device, receiving runs in a thread pinned to core 1 or where the sender is: whichever is cheaper for the cost, whichever is faster for packets/s. Established
packets meet no rule on either side, so rules are compared by first packets, each of which opens a session: nftables walks its chain (an administrator with 10,000 rules
of that many shapes cannot put all of them into sets and maps), Twinwall its bit vectors. An overload that two cores cannot offer is left out.`;

const keyOf = ({ bytes, sessions, rules }: Condition): string =>
  `${bytes} bytes, ${sessions.toLocaleString("en-US")} sessions, ${rules === 1 ? "1 rule" : `${rules.toLocaleString("en-US")} rules`}`;

interface Figures {
  /** At the fixed rate, and near the highest that the device forwards. */
  readonly cost: Cost[];
  readonly loaded: Cost[];
  readonly rate: number[];
  readonly overload: number[];
  readonly first: number[];
}

interface Placements {
  readonly cost: Placement;
  readonly rate: Placement;
}

class Forwarding {
  private readonly quick: boolean;
  private readonly care: Care;
  private readonly conditions: readonly Condition[];
  private readonly placements = new Map<DeviceName, Placements>();
  private readonly figures = new Map<string, Map<DeviceName, Figures>>();
  private readonly notes: string[] = [];
  private stands = 0;
  private done = 0;

  constructor(quick: boolean) {
    this.quick = quick;
    this.care = quick ? QUICK_CARE : CARE;
    this.conditions = quick ? QUICK_CONDITIONS : CONDITIONS;
  }

  async measure(): Promise<Outcome> {
    for (const condition of this.conditions) await this.measureUnder(condition);
    const accounting = this.chooseAccounting();
    return { comparisons: this.comparisons(accounting), charts: this.charts(accounting), notes: this.notes };
  }

  private tell(what: string): void {
    tellProgress(this.done / (this.conditions.length * (this.rounds + 1)), what);
  }

  private get rounds(): number {
    return this.quick ? 1 : ROUNDS;
  }

  private async measureUnder(condition: Condition): Promise<void> {
    const key = keyOf(condition);
    // node-pcap knows neither sessions nor rules: it stands where packets differ.
    const withPcap = hasPcap() && (condition === this.conditions[0] || condition.bytes !== BASE.bytes);
    const isReflectorMissing = missingOf(["libbpf-dev"]).length > 0;
    const withGathering = condition === this.conditions[0] && !this.quick;
    const wanted = { twinwall: true, kernel: true, reflector: !isReflectorMissing, gathering: withGathering && !isReflectorMissing, pcap: withPcap };
    const names = (Object.keys(wanted) as DeviceName[]).filter((name) => wanted[name]);
    const devices: Device[] = [];
    for (const name of names) {
      this.tell(`${key}: starting ${DEVICE_TITLES[name]}`);
      const device = await this.start(name, condition);
      devices.push(device);
      this.setRunning(device, false);
    }
    this.done++;
    for (let round = 0; round < this.rounds; round++) {
      for (const device of devices) {
        this.tell(`${key}: round ${round + 1}: ${DEVICE_TITLES[device.name]}`);
        this.setRunning(device, true);
        await this.round(device, condition, round);
        this.setRunning(device, false);
      }
      this.done++;
    }
    for (const device of devices) {
      this.setRunning(device, true);
      device.stop();
      device.stand.remove();
    }
  }

  private async start(name: DeviceName, condition: Condition): Promise<Device> {
    const stand = new Stand(`${name}${this.stands}`, `${process.ppid}${process.pid % 1_000}${this.stands++}`);
    stand.build();
    const device = await startDevice(name, stand, condition.rules);
    if (device.hasSessions) establish(device, condition.sessions);
    return device;
  }

  /** A device that waits for its turn uses no time. */
  private setRunning({ stand }: Device, isRunning: boolean): void {
    if (stand.process !== 0) process.kill(stand.process, isRunning ? "SIGCONT" : "SIGSTOP");
  }

  /** Others on the machine are in what all cores do, so then only what is ours counts. */
  private chooseAccounting(): "all" | "ours" {
    const costs = [...this.figures.values()].flatMap((byDevice) => [...byDevice.values()].flatMap(({ cost, loaded }) => [...cost, ...loaded]));
    const share = median(costs.map(({ others }) => others));
    if (share <= OTHERS_MOST) return "all";
    this.notes.push(
      `others used ${Math.round(share * 100)} % of a core meanwhile: CPU time is counted for the generator, the devices and their threads only, and packets/s say little`,
    );
    return "ours";
  }

  private async round(device: Device, condition: Condition, round: number): Promise<void> {
    const { care } = this;
    const isPcap = device.name === "pcap";
    const rate = isPcap ? PCAP_COST_RATE : COST_RATE;
    // Compilers and caches warm up on traffic; what waited while the process stood still is gone afterwards.
    device.stand.send({ order: "random", sessions: condition.sessions, bytes: condition.bytes, rate, millis: care.costMillis / 3 });
    const placements = this.placements.get(device.name) ?? (await this.choosePlacements(device, condition, rate));
    const mine = this.figuresOf(condition, device.name);
    await device.stand.place(placements.cost, device.hasProgram);
    // At another rate it would be another figure.
    if (!isPcap) mine.cost.push(await measureCost(device, condition, rate, care.costMillis));
    await device.stand.place(placements.rate, device.hasProgram);
    mine.rate.push(forwardedPerSecond(device, condition, care, mine.rate.at(-1)));
    const fullLoad = FULL_LOAD * Math.max(RATE_AT_LEAST, mine.rate.at(-1) as number);
    mine.loaded.push(await measureCost(device, condition, fullLoad, care.costMillis));
    const overload = overloadedPerSecond(device, condition, care.stepMillis);
    if (overload !== undefined) mine.overload.push(overload);
    if (!device.hasSessions || condition.bytes !== BASE.bytes || (condition.sessions !== BASE.sessions && !this.quick)) return;
    await pause(50);
    mine.first.push(firstPacketsPerSecond(device, FIRST_UNUSED + round * FIRST_PACKETS, FIRST_PACKETS, FIRST_PACKETS_RATE));
  }

  private async choosePlacements(device: Device, condition: Condition, rate: number): Promise<Placements> {
    const { care } = this;
    const coarse: Care = { ...care, resolution: 1.15 };
    const cost = await cheaperPlacement(device, condition, rate, care.costMillis);
    const chosen = { cost, rate: await fasterPlacement(device, condition, coarse) };
    const words = { threaded: "in a pinned thread", sender: "where the sender is" } as const;
    this.notes.push(`${DEVICE_TITLES[device.name]}: receiving is cheaper ${words[chosen.cost]}, faster ${words[chosen.rate]}`);
    this.placements.set(device.name, chosen);
    return chosen;
  }

  private figuresOf(condition: Condition, name: DeviceName): Figures {
    const key = keyOf(condition);
    const byDevice = this.figures.get(key) ?? new Map<DeviceName, Figures>();
    this.figures.set(key, byDevice);
    const figures = byDevice.get(name) ?? { cost: [], loaded: [], rate: [], overload: [], first: [] };
    byDevice.set(name, figures);
    return figures;
  }

  private comparisons(accounting: "all" | "ours"): Comparison[] {
    const nanos = (costs: readonly Cost[]): number[] => costs.map((cost) => cost[accounting]);
    return this.conditions.flatMap((condition) => {
      const key = keyOf(condition);
      const ours = this.figuresOf(condition, "twinwall");
      const isFloored = condition === this.conditions[0] && !this.quick;
      const peers: readonly DeviceName[] = ["kernel", "reflector", ...(this.quick ? [] : (["gathering"] as const)), "pcap"];
      return peers.flatMap((peer) => {
        const theirs = this.figuresOf(condition, peer);
        // A peer that is missing has one row that says so.
        if (theirs.loaded.length === 0 && condition !== this.conditions[0]) return [];
        const common = { benchmark: NAME, peer: DEVICE_TITLES[peer] };
        const floor = isFloored ? FLOORS[peer] : undefined;
        // node-pcap does not reach the fixed rate: beside it, each device is judged near its own limit.
        const judged = peer === "pcap" ? "loaded" : "cost";
        const costs = (["cost", "loaded"] as const).flatMap((kind) => {
          if (kind === "cost" && judged !== "cost") return [];
          const at = kind === "cost" ? `at ${COST_RATE.toLocaleString("en-US")}/s` : "at full load";
          const measured = {
            ...common,
            figure: `CPU ns per packet ${at}, ${key}`,
            ours: nanos(ours[kind]),
            theirs: nanos(theirs[kind]),
            better: "less",
          } as const;
          return [compare({ ...measured, ...(kind === judged && floor !== undefined && { floor }) })];
        });
        const rate = { ...common, figure: `packets/s at < 0.1 % loss, ${key}`, ours: ours.rate, theirs: theirs.rate, better: "more" } as const;
        const rows = [...costs, compare(rate)];
        if (ours.overload.length > 0 && theirs.overload.length > 0)
          rows.push(compare({ ...common, figure: `packets/s at overload, ${key}`, ours: ours.overload, theirs: theirs.overload, better: "more" }));
        if (ours.first.length > 0 && theirs.first.length > 0) {
          const least = condition.rules === 10_000 ? { floor: FIRST_PACKETS_FLOOR } : {};
          const figure = `first packets/s, ${condition.rules.toLocaleString("en-US")} rules`;
          rows.push(compare({ ...common, figure, ours: ours.first, theirs: theirs.first, better: "more", ...least }));
        }
        return rows;
      });
    });
  }

  private charts(accounting: "all" | "ours"): (Chart | Growth)[] {
    const chart = (name: string, title: string, unit: string, pick: keyof Figures): Chart => ({
      name: `${NAME}-${name}`,
      title,
      unit,
      groups: this.conditions.map(keyOf),
      series: this.series(this.conditions, (figures) => figures[pick].map((figure) => (typeof figure === "number" ? figure : figure[accounting]))),
    });
    return [
      chart("cost", `CPU time per packet at ${COST_RATE.toLocaleString("en-US")}/s, less is better`, "ns, all cores", "cost"),
      chart("loaded", "CPU time per packet at full load, less is better", "ns, all cores", "loaded"),
      chart("rate", "Packets forwarded at < 0.1 % loss", "packets/s", "rate"),
      this.growth("sessions", "A packet of an established session, as sessions grow", "CPU ns, all cores", ({ cost }) => cost.map((each) => each[accounting])),
      this.growth("rules", "A first packet, which faces the rules, as rules grow", `ns, ${FIRST_PACKETS_RATE.toLocaleString("en-US")}/s offered`, ({ first }) =>
        first.map((rate) => 1e9 / rate),
      ),
    ];
  }

  /** Along the conditions that differ from the base in nothing else. */
  private growth(along: "sessions" | "rules", title: string, unit: string, pick: (figures: Figures) => readonly number[]): Growth {
    const base = this.conditions[0] as Condition;
    const conditions = this.conditions.filter((condition) => keyOf({ ...condition, [along]: base[along] }) === keyOf(base)).sort((a, b) => a[along] - b[along]);
    // Who was measured at one step only, such as node-pcap, does not grow.
    const series = this.series(conditions, pick).filter(({ values }) => values.every((value) => value !== null));
    return { name: `${NAME}-${along}`, title, unit, along, steps: conditions.map((condition) => condition[along]), series };
  }

  /** A median per condition for each device that has any. */
  private series(conditions: readonly Condition[], pick: (figures: Figures) => readonly number[]): Chart["series"] {
    const names: readonly DeviceName[] = ["twinwall", "kernel", "reflector", "gathering", "pcap"];
    return names
      .map((device) => ({
        name: DEVICE_TITLES[device],
        values: conditions.map((condition) => pick(this.figuresOf(condition, device))).map((all) => (all.length > 0 ? median(all) : null)),
      }))
      .filter(({ values }) => values.some((value) => value !== null));
  }
}

/** Runs inside the sandbox. `quick`: one small condition, to see that all of it works. */
export async function measureForwarding(quick: boolean): Promise<Outcome> {
  return new Forwarding(quick).measure();
}
