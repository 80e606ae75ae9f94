// Plays a packet script in one of its variants: IPv4 or IPv6, routed or transparent, by one site or with the responder's
// packets at the other site. After each packet it looks at everything: what came out where, and what was counted.

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EVENT_NAMES } from "../../firmware/fastpath/events.ts";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { EVENT_TABLE } from "../../firmware/fastpath/memory/tables.ts";
import { DROP_NAMES } from "../../firmware/fastpath/verdicts.ts";
import { parseService } from "../../firmware/manager/config/services.ts";
import type { Plan, PlannedRule } from "../../firmware/plan.ts";
import { prefix, rule } from "../fastpath/craft.ts";
import { addressAt, put16 } from "../sim/packets.ts";
import { ipOf, packetOf, type Sent } from "./packet.ts";
import { parseScripts, type Script, type Step, type Variant } from "./script.ts";
import { HOSTS, Stage, type ZoneName } from "./stage.ts";

const ZONES = ["one", "three"] as const;
const ZONE_NUMBERS: Readonly<Record<ZoneName, number>> = { one: 1, three: 3 };
const TCP_FLAG_NAMES = ["fin", "syn", "rst", "psh", "ack", "urg"];

/** Every script of this folder, in the order of files and lines. */
export function allScripts(pattern = "*.packets"): readonly Script[] {
  const folder = import.meta.dirname;
  return globSync(pattern, { cwd: folder })
    .sort()
    .flatMap((name) => parseScripts(`test/scripts/${name}`, readFileSync(join(folder, name), "utf8")));
}

export interface Cast {
  readonly v6: boolean;
  readonly mode: "routed" | "transparent";
  readonly otherSite: boolean;
}

/** The variants that a script is played in. */
export function castsOf(script: Script): readonly Cast[] {
  const wants = (one: Variant, other: Variant): readonly boolean[] => {
    const either = script.only.includes(one) || script.only.includes(other);
    return [false, true].filter((second) => !either || script.only.includes(second ? other : one));
  };
  return wants("IPv4", "IPv6").flatMap((v6) =>
    wants("routed", "transparent").flatMap((wire) =>
      wants("one site", "other site").map((otherSite): Cast => ({ v6, mode: wire ? "transparent" : "routed", otherSite })),
    ),
  );
}

export function describeCast({ v6, mode, otherSite }: Cast): string {
  return `IPv${v6 ? 6 : 4}, ${mode}${otherSite ? ", other site" : ""}`;
}

/** Plays the script; throws at the first line that does not happen as it says. Returns the outcome of each packet line. */
export function play(script: Script, cast: Cast): readonly string[] {
  const rules = script.rules.length === 0 ? [rule(1)] : script.rules.map((words, k) => ruleOf(words, k + 1, cast.v6));
  const stage = new Stage({ mode: cast.mode, twin: cast.otherSite, rules, adjust: (plan) => adjusted(plan, script) });
  const player = new Player(stage, cast);
  for (const step of script.steps) {
    try {
      player.step(step);
    } catch (error) {
      throw new Error(`${script.file}:${step.line} (${describeCast(cast)}): ${step.text}\n  ${(error as Error).message}`);
    }
  }
  return player.outcomes;
}

/** Plays a script in every variant that it is meant for; `failure` is "" when everything happened as it says. */
export function playAll(script: Script): readonly { readonly cast: string; readonly outcomes: readonly string[]; readonly failure: string }[] {
  return castsOf(script).map((cast) => {
    try {
      return { cast: describeCast(cast), outcomes: play(script, cast), failure: "" };
    } catch (error) {
      return { cast: describeCast(cast), outcomes: [], failure: (error as Error).message };
    }
  });
}

function adjusted(plan: Plan, script: Script): Plan {
  const copy = structuredClone(plan) as Plan;
  for (const { path, value } of script.settings) {
    const keys = path.split(".");
    let at = copy as unknown as Record<string, Record<string, unknown>>;
    for (const key of keys.slice(0, -1)) at = at[key] as typeof at;
    const last = keys.at(-1) as string;
    if (!(last in at)) throw new Error(`${script.file}:${script.line}: the plan has no ${path}`);
    (at as Record<string, unknown>)[last] = value;
  }
  return copy;
}

/** "permit log from one to three source 10.1.0.0/24|2001:db8:1::/64 service tcp/80 udp/53" */
function ruleOf(text: string, number: number, v6: boolean): PlannedRule {
  const lists: Record<string, string[]> = { from: [], to: [], source: [], destination: [], service: [] };
  const [action = "", ...rest] = text.split(/\s+/);
  let list: string[] | undefined;
  let log = false;
  for (const raw of rest) {
    const value = raw.includes("|") ? (raw.split("|")[v6 ? 1 : 0] as string) : raw;
    if (value === "log") log = true;
    else if (value in lists) list = lists[value];
    else if (list === undefined) throw new Error(`rule: ${raw} belongs to nothing`);
    else list.push(value);
  }
  const zone = (name: string) => ZONE_NUMBERS[name as ZoneName];
  const service = (name: string) => parseService(name) ?? wrong(`there is no service ${name}`);
  return rule(number, {
    action: action as PlannedRule["action"],
    log,
    fromZones: (lists["from"] as string[]).map(zone),
    toZones: (lists["to"] as string[]).map(zone),
    sources: (lists["source"] as string[]).map(prefix),
    destinations: (lists["destination"] as string[]).map(prefix),
    services: (lists["service"] as string[]).map(service),
  });
}

function wrong(why: string): never {
  throw new Error(why);
}

class Player {
  readonly outcomes: string[] = [];
  private readonly stage: Stage;
  private readonly cast: Cast;
  private readonly labelled = new Map<string, Uint8Array>();
  /** Packets that came in and neither left nor were counted. */
  private waiting: Sent[] = [];
  private readonly atStart: Readonly<Record<string, number>> = {};

  constructor(stage: Stage, cast: Cast) {
    this.stage = stage;
    this.cast = cast;
    this.atStart = this.drops();
  }

  step(step: Step): void {
    if (step.kind === "wait") this.stage.pass(step.millis);
    else if (step.kind === "look") this.look(step.what, step.rest);
    else {
      const sent = packetOf(step.words, this.cast.v6, this.stage, this.labelled);
      if (step.label !== "") this.labelled.set(step.label, sent.frame);
      const outcome = step.outcome.replace(/(\S+)\|(\S+)/g, this.cast.v6 ? "$2" : "$1");
      if (outcome !== "") this.send(sent, outcome);
    }
  }

  private drops(): Record<string, number> {
    return Object.fromEntries(DROP_NAMES.map((name) => [name, this.stage.counter(name)]));
  }

  private send(sent: Sent, wanted: string): void {
    const before = this.drops();
    const site = sent.site ?? (sent.from === "three" && this.cast.otherSite ? "B" : "A");
    const vlan = this.stage.vlan(sent.from);
    const { frame } = sent;
    const onWire = vlan === 0 ? frame : Uint8Array.from([...frame.subarray(0, 12), 0x81, 0, vlan >> 8, vlan & 0xff, ...frame.subarray(12)]);
    this.stage.put(site, sent.from, onWire);
    const found = this.outcome(sent, before);
    this.outcomes.push(found);
    if (found !== wanted) throw new Error(`it should: ${wanted}\n  it did:    ${found}`);
  }

  /** "passes", "passes 3" (with those that waited), "waits", "drop reason", each with "answer …" behind it if there was one. */
  private outcome(sent: Sent, before: Readonly<Record<string, number>>): string {
    const parts: string[] = [];
    this.waiting.push(sent);
    let passed = 0;
    const answers: string[] = [];
    for (const zone of ZONES) {
      for (const out of this.stage.taken(zone)) {
        const at = this.waiting.findIndex((candidate) => candidate.to === zone && this.isSame(candidate.frame, out));
        if (at >= 0) {
          this.waiting.splice(at, 1);
          passed++;
        } else answers.push(zone === sent.from ? `answer ${describe(out)}` : `${describe(out)} came out in zone ${zone}`);
      }
    }
    if (passed > 0) parts.push(passed === 1 ? "passes" : `passes ${passed}`);
    const after = this.drops();
    for (const [name, count] of Object.entries(after)) {
      const more = count - (before[name] as number);
      if (more === 0) continue;
      parts.push(`drop ${name}${more === 1 ? "" : ` ${more}`}`);
      this.waiting.splice(-more);
    }
    parts.push(...answers);
    return parts.join(", ") || "waits";
  }

  /** Is `out` the packet `frame` as it must look behind us: TTL one less when routed, padding zero, nothing else changed? */
  private isSame(frame: Uint8Array, out: Uint8Array): boolean {
    const expected = Uint8Array.from(ipOf(frame));
    const found = ipOf(out);
    if (this.stage.mode === "routed") {
      const ttlAt = this.cast.v6 ? 7 : 8;
      if (expected[ttlAt] !== (found[ttlAt] as number) + 1) return false;
      expected[ttlAt] = found[ttlAt] as number;
      if (!this.cast.v6) put16(expected, 10, ((found[10] as number) << 8) | (found[11] as number));
    }
    const padding = out.subarray(14 + found.length);
    return Buffer.compare(expected, found) === 0 && padding.every((byte) => byte === 0);
  }

  private look(what: string, rest: string): void {
    if (what === "sessions") {
      const found = this.stage.states().sort().join(" ") || "none";
      if (found !== rest) throw new Error(`there are: ${found}`);
    } else if (what === "counter") {
      const [name = "", count = ""] = rest.split(" ");
      const found = this.stage.counter(name) - (this.atStart[name] ?? 0);
      if (found !== Number(count)) throw new Error(`it is ${found}`);
    } else if (what === "event") {
      const found = this.events();
      if (!found.includes(rest)) throw new Error(`the events since the last look are:\n    ${found.join("\n    ") || "none"}`);
    }
  }

  /** Events since the last look, as sentences: kind, rule, protocol, ends, zone, port. */
  private events(): string[] {
    const sentences: string[] = [];
    for (const { events } of this.stage.units) {
      while (events.next()) {
        const at = (name: string): number => events.row[word(EVENT_TABLE, name)] as number;
        const bytes = new Uint8Array(events.row.buffer);
        const flow = at("flow");
        const end = (field: string, port: number) => `${hostAt(bytes, word(EVENT_TABLE, field) * 4)}:${port}`;
        const ports = word(EVENT_TABLE, "ports") * 4;
        const port = (k: number) => ((bytes[ports + k] as number) << 8) | (bytes[ports + k + 1] as number);
        const zone = ZONES.find((name) => ZONE_NUMBERS[name] === ((flow >>> 8) & 0xff));
        const told = flow === 0 ? "" : ` protocol ${flow & 0xff} ${end("source", port(0))} > ${end("destination", port(2))} zone ${zone} port ${at("port")}`;
        sentences.push(`${EVENT_NAMES[at("kind")]}${at("rule") === 0 ? "" : ` rule ${at("rule")}`}${told}`);
      }
    }
    return sentences;
  }
}

function hostAt(bytes: Uint8Array, at: number): string {
  const v4 = bytes[at + 10] === 0xff && bytes[at + 11] === 0xff && bytes[at] === 0;
  const { text } = addressAt(bytes, v4 ? at + 12 : at, v4);
  return Object.entries(HOSTS).find(([, host]) => host.v4 === text || addressText(host.v6) === text)?.[0] ?? text;
}

function addressText(text: string): string {
  return addressAt(Uint8Array.from(prefix(text).bytes), 0, false).text;
}

/** A packet of our own in a few words: "tcp rst,ack", "icmp 3/13", "udp". */
function describe(frame: Uint8Array): string {
  const v6 = frame[12] === 0x86;
  const protocol = frame[14 + (v6 ? 6 : 9)] as number;
  const l4 = 14 + (v6 ? 40 : ((frame[14] as number) & 15) * 4);
  if (protocol === 6) return `tcp ${TCP_FLAG_NAMES.filter((_, bit) => ((frame[l4 + 13] as number) >> bit) & 1).join(",")}`;
  if (protocol === (v6 ? 58 : 1)) return `icmp ${frame[l4]}/${frame[l4 + 1]}`;
  return protocol === 17 ? "udp" : `protocol ${protocol}`;
}
