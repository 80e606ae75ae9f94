// Runs a capture through one unit on a wire that permits everything: addresses and ports stay the capture's own. Whoever is
// seen first stands at one end, whom it talks to at the other; time passes as it did when the capture was made.

import { DROP_NAMES } from "../../firmware/fastpath/verdicts.ts";
import type { PlannedChecks } from "../../firmware/plan.ts";
import { rule } from "../fastpath/craft.ts";
import { Stage, type ZoneName } from "../scripts/stage.ts";
import { address, addressAt, u16 } from "../sim/packets.ts";
import type { Dropped } from "./expected.ts";
import type { Capture } from "./pcap.ts";

/** A gap in a capture says nothing after this; sessions in time-wait and fragments would be gone long ago. */
const GAP_MILLIS_MOST = 400_000;
/** After the last packet: what waits for the rest of its datagram is given up. */
const QUIET_MILLIS = 120_000;

/** What became of each packet: "passes", a drop reason, or "changed". */
export function replay(capture: Capture, checks: Partial<PlannedChecks> = {}): readonly string[] {
  const vlans = [...new Set(capture.packets.map(({ frame }) => vlanOf(frame)))];
  const stage = new Stage({
    mode: "transparent",
    twin: false,
    rules: [rule(1)],
    adjust: (plan) => ({ ...plan, zones: vlans.flatMap((vlan) => plan.zones.map((zone) => ({ ...zone, vlan }))), checks: { ...plan.checks, ...checks } }),
  });
  const player = new Player(stage, capture.packets.length);
  const zones = new Map<string, ZoneName>();
  let lastMicros = capture.packets[0]?.atMicros ?? 0;
  for (const [number, { frame, atMicros }] of capture.packets.entries()) {
    const gapMillis = Math.min(Math.max(0, (atMicros - lastMicros) / 1_000), GAP_MILLIS_MOST);
    lastMicros = Math.max(lastMicros, atMicros);
    if (gapMillis >= 1) player.pass(gapMillis);
    player.put(number, frame, zoneOf(frame, zones));
  }
  player.pass(QUIET_MILLIS);
  return player.outcomes;
}

class Player {
  readonly outcomes: string[];
  private readonly stage: Stage;
  private readonly frames = new Map<number, { readonly frame: Uint8Array; readonly to: ZoneName }>();
  private drops: readonly number[];

  constructor(stage: Stage, count: number) {
    this.stage = stage;
    this.outcomes = new Array<string>(count).fill("waits");
    this.drops = this.count();
  }

  pass(millis: number): void {
    this.stage.pass(millis);
    this.look();
  }

  put(number: number, frame: Uint8Array, from: ZoneName): void {
    this.frames.set(number, { frame, to: from === "one" ? "three" : "one" });
    this.stage.put("A", from, frame);
    this.look();
  }

  private count(): readonly number[] {
    return DROP_NAMES.map((name) => this.stage.counter(name));
  }

  /** Gives what came out, and what was dropped, to the packets that are not accounted for yet: the newest first, as a fault is found at once. */
  private look(): void {
    for (const zone of ["one", "three"] as const) {
      for (const out of this.stage.framesTaken(zone)) {
        const found = [...this.frames].find(([, { frame, to }]) => to === zone && isSame(frame, out));
        if (found === undefined) throw new Error(`a packet came out that did not come in: ${Buffer.from(out).toString("hex")}`);
        this.settle(found[0], "passes");
      }
    }
    const now = this.count();
    for (const [reason, count] of now.entries()) {
      for (let more = count - (this.drops[reason] as number); more > 0; more--) {
        const newest = [...this.frames.keys()].at(-1);
        if (newest === undefined) throw new Error(`a packet was dropped twice: ${DROP_NAMES[reason]}`);
        this.settle(newest, DROP_NAMES[reason] as string);
      }
    }
    this.drops = now;
  }

  private settle(number: number, outcome: string): void {
    this.outcomes[number] = outcome;
    this.frames.delete(number);
  }
}

/** The frame as it came; what followed the packet in it is zero (F10). */
function isSame(frame: Uint8Array, out: Uint8Array): boolean {
  const at = u16(frame, 12) === 0x8100 ? 18 : 14;
  const type = u16(frame, at - 2);
  const bytes = type === 0x0800 ? at + u16(frame, at + 2) : type === 0x86dd ? at + 40 + u16(frame, at + 4) : frame.length;
  return Buffer.compare(frame.subarray(0, bytes), out.subarray(0, bytes)) === 0 && (bytes >= frame.length || out.subarray(bytes).every((byte) => byte === 0));
}

function vlanOf(frame: Uint8Array): number {
  return u16(frame, 12) === 0x8100 ? u16(frame, 14) & 0xfff : 0;
}

/** "source" and "destination" of an IP packet as text; of anything else, "". */
function endsOf(frame: Uint8Array): readonly [string, string] {
  const at = u16(frame, 12) === 0x8100 ? 18 : 14;
  const type = u16(frame, at - 2);
  if (type === 0x0800 && frame.length >= at + 20) return [addressAt(frame, at + 12, true).text, addressAt(frame, at + 16, true).text];
  return type === 0x86dd && frame.length >= at + 40 ? [addressAt(frame, at + 8, false).text, addressAt(frame, at + 24, false).text] : ["", ""];
}

function zoneOf(frame: Uint8Array, zones: Map<string, ZoneName>): ZoneName {
  const [source, destination] = endsOf(frame);
  const across = zones.get(destination);
  const zone = zones.get(source) ?? (across === undefined ? "one" : across === "one" ? "three" : "one");
  zones.set(source, zone);
  if (destination !== source && !zones.has(destination)) zones.set(destination, zone === "one" ? "three" : "one");
  return zone;
}

/** Numbers (from 0) that a list names: "2-5, 9", "all", "from 10.0.0.1 but 1". */
export function numbersOf({ packets }: Dropped, capture: Capture): readonly number[] {
  const all = capture.packets.map((_, number) => number);
  if (packets === "all") return all;
  const from = /^from (\S+)(?: but (\d+))?$/.exec(packets);
  if (from !== null) {
    const sender = address(from[1] as string).text;
    return all.filter((number) => endsOf((capture.packets[number] as Capture["packets"][number]).frame)[0] === sender && number + 1 !== Number(from[2]));
  }
  return packets.split(", ").flatMap((part) => {
    const [first = 0, last = first] = part.split("-").map(Number);
    return all.slice(first - 1, last);
  });
}
