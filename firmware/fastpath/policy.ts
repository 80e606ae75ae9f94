// The policy, compiled: one bit per rule, one bit vector per interval of each dimension. A lookup finds its interval in each of
// four dimensions; the bits that all four vectors have are the rules that match, and the first of them in the list decides.
//
//   zones (from × to) ──┐        vector = blocks of 1,024 rules:   summary word │ 32 words
//   source address ─────┤                                          bit w of the summary: word w is not 0
//   destination address ┼─ AND ─► rules that match
//   service ────────────┘        a block that many intervals share is stored once
//
// Summaries are ANDed first, so blocks and words that cannot match are never touched. For that to skip much, bits do not lie
// in list order: rules that leave the same dimensions open lie together, by address within, or else one rule in ten with an
// open source would fill every word of that dimension (10,000 such rules: 1,250 ns in list order, 220 ns so). Within a word
// bits are in list order, and a word whose first rule comes after the best match so far is skipped. Vectors of neighbouring
// intervals differ in few rules, hence in few blocks: 10,000 rules take a few megabytes instead of 25 per dimension.

import { ZONES } from "../limits.ts";
import type { PlannedRule, PlannedService, Prefix } from "../plan.ts";
import { AddressIntervals } from "./intervals.ts";
import { P_FLAGS, P_SOURCE, P_ZONE, PACKET_ICMP_SHIFT } from "./packets.ts";
import { ICMP_COUNTERPARTS, PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from "./wire/icmp.ts";
import { PROTOCOL_TCP } from "./wire/tcp.ts";
import { PROTOCOL_UDP } from "./wire/udp.ts";

export const ACTION_DENY = 0;
export const ACTION_PERMIT = 1;
export const ACTION_REJECT = 2;
export const ACTION_MASK = 3;
export const RULE_SHIFT = 2;

const ACTIONS = { deny: ACTION_DENY, permit: ACTION_PERMIT, reject: ACTION_REJECT } as const;

/** Within a tuple (packets.ts, P_SOURCE and on; a session's key). */
const T_DESTINATION = 4;
const T_PORTS = 8;
const T_FLOW = 9;

const BLOCK_SHIFT = 10;
const BLOCK_RULES = 1 << BLOCK_SHIFT;
const BLOCK_WORDS = 32;
/** A protocol's ports (or ICMP type and code) span so many points. */
const POINTS = 65_536;
/** Behind every rule's place. */
const NO_PLACE = 0x7fffffff;

/** Vectors of one dimension, by interval × block count + block: the block's number, and which of its words are not 0. */
interface Dimension {
  numbers: Int32Array;
  summaries: Int32Array;
}

/** What a lookup reads: words, so that another process can have worked them out (policy-image.ts). */
export interface CompiledPolicy {
  readonly revision: number;
  readonly blockCount: number;
  readonly zoneClassCount: number;
  /** Always as many, in one order. */
  readonly arrays: readonly Int32Array[];
}

/** Half-open range of points. */
type Range = readonly [number, number];

export class Policy {
  revision: number;
  private blockCount: number;
  /** 32 words by block number; block 0 is empty. */
  private blocks: Int32Array;
  private zoneClasses: Int32Array = new Int32Array(256);
  private zoneClassCount: number;
  private readonly zones: Dimension;
  private readonly sourceIntervals: AddressIntervals;
  private readonly sources: Dimension;
  private readonly destinationIntervals: AddressIntervals;
  private readonly destinations: Dimension;
  /** By protocol: where its interval table begins in `servicePoints`, or -1 when the protocol is one interval. */
  private serviceTables: Int32Array = new Int32Array(256).fill(-1);
  private serviceFirst: Int32Array = new Int32Array(256);
  private servicePoints: Int32Array;
  private readonly services: Dimension;
  /** By place in the list: rule << 2 | action. */
  private decisions: Int32Array;
  /** By bit: the rule's place in the list. By word: the place of its first bit, which is its lowest. */
  private places: Int32Array;
  private wordPlaces: Int32Array;
  /** By rule number: 1 when it logs. */
  private logging: Int32Array;
  /** By rule number: milliseconds, 0 = by protocol. */
  private idle: Int32Array;

  /** Compiles rules in their order. `revision`: the configuration's, for rows. 10,000 rules take well under two seconds. */
  constructor(rules: readonly PlannedRule[], revision: number) {
    this.revision = revision;
    this.blockCount = Math.ceil(rules.length / BLOCK_RULES);
    this.decisions = Int32Array.from(rules, (rule) => (rule.number << RULE_SHIFT) | ACTIONS[rule.action]);
    this.logging = new Int32Array(rules.reduce((most, rule) => Math.max(most, rule.number), 0) + 1);
    this.idle = new Int32Array(this.logging.length);
    for (const rule of rules) {
      this.logging[rule.number] = rule.log ? 1 : 0;
      this.idle[rule.number] = rule.idleMillis;
    }

    const zoneNumbers = [...new Set(rules.flatMap((rule) => [...rule.fromZones, ...rule.toZones]))];
    for (const [k, zone] of zoneNumbers.entries()) this.zoneClasses[zone] = k + 1;
    this.zoneClassCount = zoneNumbers.length + 1;
    this.sourceIntervals = new AddressIntervals(rules.flatMap((rule) => rule.sources));
    this.destinationIntervals = new AddressIntervals(rules.flatMap((rule) => rule.destinations));
    const line = new ServiceLine(rules);

    this.places = placesByBit(rules, this.sourceIntervals, this.destinationIntervals);
    this.wordPlaces = Int32Array.from({ length: this.blockCount * BLOCK_WORDS }, (_, word) => this.places[word * 32] ?? 0);
    const ordered = Array.from(this.places, (place) => rules[place] as PlannedRule);
    const store = new BlockStore();
    this.zones = compile(
      ordered.map((rule) => this.zoneRanges(rule)),
      this.zoneClassCount ** 2,
      this.blockCount,
      store,
    );
    this.sources = compile(
      ordered.map((rule) => addressRanges(rule.sources, this.sourceIntervals)),
      this.sourceIntervals.count,
      this.blockCount,
      store,
    );
    this.destinations = compile(
      ordered.map((rule) => addressRanges(rule.destinations, this.destinationIntervals)),
      this.destinationIntervals.count,
      this.blockCount,
      store,
    );
    this.services = compile(
      ordered.map((rule) => line.ranges(rule)),
      line.starts.length,
      this.blockCount,
      store,
    );
    this.servicePoints = line.fill(this.serviceTables, this.serviceFirst);
    this.blocks = Int32Array.from(store.blocks);
  }

  /** What it compiled; the same arrays, not copies. */
  compiled(): CompiledPolicy {
    const { revision, blockCount, zoneClassCount, zones, sources, destinations, services, sourceIntervals, destinationIntervals } = this;
    const dimensions = [zones, sources, destinations, services].flatMap(({ numbers, summaries }) => [numbers, summaries]);
    const intervals = [sourceIntervals, destinationIntervals].flatMap(({ v4Starts, v6Starts }) => [v4Starts, v6Starts]);
    const { blocks, zoneClasses, serviceTables, serviceFirst, servicePoints, decisions, places, wordPlaces, logging, idle } = this;
    const single = [blocks, zoneClasses, serviceTables, serviceFirst, servicePoints, decisions, places, wordPlaces, logging, idle];
    return { revision, blockCount, zoneClassCount, arrays: [...dimensions, ...intervals, ...single] };
  }

  /** Decides by another policy from now on: between two packets. The arrays are kept, and must not change while they are in use. */
  use({ revision, blockCount, zoneClassCount, arrays }: CompiledPolicy): void {
    let next = 0;
    const take = (): Int32Array => arrays[next++] as Int32Array;
    for (const dimension of [this.zones, this.sources, this.destinations, this.services]) {
      dimension.numbers = take();
      dimension.summaries = take();
    }
    for (const intervals of [this.sourceIntervals, this.destinationIntervals]) intervals.use(take(), take());
    this.blocks = take();
    this.zoneClasses = take();
    this.serviceTables = take();
    this.serviceFirst = take();
    this.servicePoints = take();
    this.decisions = take();
    this.places = take();
    this.wordPlaces = take();
    this.logging = take();
    this.idle = take();
    this.revision = revision;
    this.blockCount = blockCount;
    this.zoneClassCount = zoneClassCount;
  }

  /** Decides the packet of row `at` on its way to zone `toZone`: rule << 2 | ACTION_*; rule 0 = no rule matched (F8). */
  decide(words: Int32Array, at: number, toZone: number): number {
    return this.decideTuple(words, at + P_SOURCE, words[at + P_ZONE] as number, toZone, (words[at + P_FLAGS] as number) >>> PACKET_ICMP_SHIFT);
  }

  /**
   * Decides a tuple: ten words at `words[at]` as in a session's key. `icmp`: type | code << 8 when its protocol is ICMP.
   * First match wins (F7).
   */
  decideTuple(words: Int32Array, at: number, fromZone: number, toZone: number, icmp: number): number {
    const protocol = (words[at + T_FLOW] as number) & 0xff;
    const ports = words[at + T_PORTS] as number;
    const point = isIcmp(protocol) ? ((icmp & 0xff) << 8) | ((icmp >>> 8) & 0xff) : ((ports >>> 8) & 0xff00) | (ports >>> 24);
    return this.match(
      this.zonePair(fromZone, toZone),
      this.sourceIntervals.find(words, at),
      this.destinationIntervals.find(words, at + T_DESTINATION),
      this.service(protocol, point),
    );
  }

  /** True when the packet, or the packet that it would answer (its mirror), is permitted. Asked before the twin is. */
  couldPermit(words: Int32Array, at: number, toZone: number): boolean {
    if ((this.decide(words, at, toZone) & ACTION_MASK) === ACTION_PERMIT) return true;
    const tuple = (at + P_SOURCE) | 0;
    const protocol = (words[tuple + T_FLOW] as number) & 0xff;
    const ports = words[tuple + T_PORTS] as number;
    const icmp = (words[at + P_FLAGS] as number) >>> PACKET_ICMP_SHIFT;
    const counterpart = ICMP_COUNTERPARTS[(icmp & 0xff) | (protocol === PROTOCOL_ICMPV6 ? 256 : 0)] as number;
    const point = isIcmp(protocol) ? (counterpart << 8) | ((icmp >>> 8) & 0xff) : ((ports & 0xff) << 8) | ((ports >>> 8) & 0xff);
    const decision = this.match(
      this.zonePair(toZone, words[at + P_ZONE] as number),
      this.sourceIntervals.find(words, tuple + T_DESTINATION),
      this.destinationIntervals.find(words, tuple),
      this.service(protocol, point),
    );
    return (decision & ACTION_MASK) === ACTION_PERMIT;
  }

  /** True when the rule's log flag is set. Rule 0 (no match) does not log by itself. */
  logs(rule: number): boolean {
    return this.logging[rule] === 1;
  }

  /** Idle time that the rule gives its sessions, milliseconds; 0 = by protocol. */
  idleMillis(rule: number): number {
    return this.idle[rule] as number;
  }

  private match(zonePair: number, source: number, destination: number, service: number): number {
    const count = this.blockCount;
    const blocks = this.blocks;
    const zones = this.zones;
    const sources = this.sources;
    const destinations = this.destinations;
    const services = this.services;
    const zoneRow = Math.imul(zonePair, count);
    const sourceRow = Math.imul(source, count);
    const destinationRow = Math.imul(destination, count);
    const serviceRow = Math.imul(service, count);
    let best = NO_PLACE;
    for (let block = 0; block < count; block = (block + 1) | 0) {
      let live = (zones.summaries[zoneRow + block] as number) & (sources.summaries[sourceRow + block] as number);
      live &= (destinations.summaries[destinationRow + block] as number) & (services.summaries[serviceRow + block] as number);
      if (live === 0) continue;
      const z = zones.numbers[zoneRow + block] as number;
      const s = sources.numbers[sourceRow + block] as number;
      const d = destinations.numbers[destinationRow + block] as number;
      const v = services.numbers[serviceRow + block] as number;
      for (; live !== 0; live &= live - 1) {
        const word = 31 - Math.clz32(live & -live);
        if ((this.wordPlaces[(block << 5) | word] as number) >= best) continue;
        const hits =
          (blocks[(s << 5) | word] as number) & (blocks[(d << 5) | word] as number) & (blocks[(z << 5) | word] as number) & (blocks[(v << 5) | word] as number);
        if (hits === 0) continue;
        const place = this.places[(block << BLOCK_SHIFT) | (word << 5) | (31 - Math.clz32(hits & -hits))] as number;
        if (place < best) best = place;
      }
    }
    return best === NO_PLACE ? ACTION_DENY : (this.decisions[best] as number);
  }

  private zonePair(from: number, to: number): number {
    return Math.imul(this.zoneClasses[from & 0xff] as number, this.zoneClassCount) + (this.zoneClasses[to & 0xff] as number);
  }

  private service(protocol: number, point: number): number {
    const table = this.serviceTables[protocol] as number;
    return table < 0 ? (this.serviceFirst[protocol] as number) : (this.servicePoints[table + point] as number);
  }

  private zoneRanges(rule: PlannedRule): readonly Range[] {
    const count = this.zoneClassCount;
    const classes = (zones: readonly number[]) =>
      zones.length === 0 ? Array.from({ length: count }, (_, k) => k) : zones.map((zone) => this.zoneClasses[zone] as number);
    for (const zone of [...rule.fromZones, ...rule.toZones]) if (zone < 0 || zone >= ZONES) throw new Error(`policy: rule ${rule.number} names zone ${zone}`);
    if (rule.toZones.length === 0) return classes(rule.fromZones).map((from) => [from * count, (from + 1) * count]);
    const to = classes(rule.toZones);
    return classes(rule.fromZones).flatMap((from) => to.map((zone): Range => [from * count + zone, from * count + zone + 1]));
  }
}

function isIcmp(protocol: number): boolean {
  return protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMPV6;
}

/**
 * The rules' places in the list, by bit: rules that leave the same dimensions open together, each such group by address, each
 * word in list order. The most open come first: they match early, and what they match ends the search of many words.
 */
function placesByBit(rules: readonly PlannedRule[], sources: AddressIntervals, destinations: AddressIntervals): Int32Array {
  const keys = rules.map((rule, place) => {
    const source = rule.sources[0];
    const destination = rule.destinations[0];
    const open = [rule.sources, rule.destinations, rule.services, rule.fromZones, rule.toZones].reduce(
      (bits, list) => bits * 2 + (list.length === 0 ? 1 : 0),
      0,
    );
    const where = source !== undefined ? sources.rangeOf(source)[0] : destination !== undefined ? destinations.rangeOf(destination)[0] : 0;
    return { open, where, place };
  });
  keys.sort((a, b) => b.open - a.open || a.where - b.where || a.place - b.place);
  const places = Int32Array.from(keys, (key) => key.place);
  for (let k = 0; k < places.length; k += 32) places.subarray(k, k + 32).sort();
  return places;
}

function addressRanges(prefixes: readonly Prefix[], intervals: AddressIntervals): readonly Range[] {
  return prefixes.length === 0 ? [[0, intervals.count]] : prefixes.map((prefix) => intervals.rangeOf(prefix));
}

/**
 * The service dimension as one line of points, protocol × 65,536 + (port, or ICMP type × 256 + code), cut into intervals at
 * the edges of the rules' services.
 */
class ServiceLine {
  /** First point of each interval. */
  readonly starts: readonly number[];
  private readonly index: ReadonlyMap<number, number>;

  constructor(rules: readonly PlannedRule[]) {
    const edges = new Set<number>();
    for (let protocol = 0; protocol < 256; protocol++) edges.add(protocol * POINTS);
    for (const rule of rules) {
      for (const service of rule.services) {
        for (const [first, after] of servicePoints(service)) {
          edges.add(first);
          if (after < 256 * POINTS) edges.add(after);
        }
      }
    }
    this.starts = [...edges].sort((a, b) => a - b);
    this.index = new Map(this.starts.map((start, k) => [start, k]));
  }

  ranges(rule: PlannedRule): readonly Range[] {
    if (rule.services.length === 0) return [[0, this.starts.length]];
    return rule.services.flatMap((service) =>
      servicePoints(service).map(([first, after]): Range => [this.index.get(first) as number, this.index.get(after) ?? this.starts.length]),
    );
  }

  /** Fills the two tables by protocol and returns the interval of every point of the protocols that have more than one. */
  fill(tables: Int32Array, firsts: Int32Array): Int32Array {
    const points: Int32Array[] = [];
    for (let protocol = 0; protocol < 256; protocol++) {
      const first = this.index.get(protocol * POINTS) as number;
      const after = this.index.get((protocol + 1) * POINTS) ?? this.starts.length;
      firsts[protocol] = first;
      if (after - first === 1) continue;
      tables[protocol] = points.length * POINTS;
      const table = new Int32Array(POINTS);
      for (let interval = first; interval < after; interval++) table.fill(interval, (this.starts[interval] as number) - protocol * POINTS);
      points.push(table);
    }
    const all = new Int32Array(points.length * POINTS);
    for (const [k, table] of points.entries()) all.set(table, k * POINTS);
    return all;
  }
}

/** Points of a service. Protocols without ports have one interval: their ports are not looked at. */
function servicePoints(service: PlannedService): readonly Range[] {
  const base = service.protocol * POINTS;
  const whole: Range = [base, base + POINTS];
  if (isIcmp(service.protocol)) {
    const [firstType, lastType] = [service.ports[0], Math.min(service.ports[1], 255)];
    const [firstCode, lastCode] = [service.codes[0], Math.min(service.codes[1], 255)];
    if (firstCode === 0 && lastCode === 255) return [[base + firstType * 256, base + (lastType + 1) * 256]];
    return Array.from(
      { length: lastType - firstType + 1 },
      (_, k): Range => [base + (firstType + k) * 256 + firstCode, base + (firstType + k) * 256 + lastCode + 1],
    );
  }
  if (service.protocol !== PROTOCOL_TCP && service.protocol !== PROTOCOL_UDP) return [whole];
  return [[base + service.ports[0], base + service.ports[1] + 1]];
}

/** Blocks of 32 words, each kept once. */
class BlockStore {
  readonly summaries: number[] = [0];
  readonly blocks: number[] = new Array<number>(BLOCK_WORDS).fill(0);
  private readonly byHash = new Map<number, number[]>();

  constructor() {
    this.byHash.set(hashWords(new Int32Array(BLOCK_WORDS), 0), [0]);
  }

  /** Number of the block that equals `words[from .. from+31]`. */
  keep(words: Int32Array, from: number): number {
    const hash = hashWords(words, from);
    const candidates = this.byHash.get(hash);
    for (const number of candidates ?? []) if (this.equals(number, words, from)) return number;
    const number = this.summaries.length;
    let summary = 0;
    for (let k = 0; k < BLOCK_WORDS; k++) {
      const word = words[from + k] as number;
      this.blocks.push(word);
      if (word !== 0) summary |= 1 << k;
    }
    this.summaries.push(summary);
    if (candidates === undefined) this.byHash.set(hash, [number]);
    else candidates.push(number);
    return number;
  }

  private equals(number: number, words: Int32Array, from: number): boolean {
    for (let k = 0; k < BLOCK_WORDS; k++) if (this.blocks[number * BLOCK_WORDS + k] !== words[from + k]) return false;
    return true;
  }
}

function hashWords(words: Int32Array, from: number): number {
  let hash = 0x811c9dc5;
  for (let k = 0; k < BLOCK_WORDS; k++) {
    hash = Math.imul(hash ^ (words[from + k] as number), 0x01000193);
    hash ^= hash >>> 15;
  }
  return hash;
}

/**
 * Every interval's vector. Sweeps over the intervals with one vector,
 * switching a rule's bit where one of its ranges begins or ends, and keeps the blocks that changed.
 */
function compile(rules: readonly (readonly Range[])[], intervals: number, blockCount: number, store: BlockStore): Dimension {
  const switches = switchesByInterval(rules, intervals);
  const vector = new Int32Array(blockCount * BLOCK_WORDS);
  const numbers = new Int32Array(blockCount);
  const changed = new Uint8Array(blockCount);
  const all = new Int32Array(intervals * blockCount);
  for (let interval = 0; interval < intervals; interval++) {
    for (let k = switches.first[interval] as number; k < (switches.first[interval + 1] as number); k++) {
      const rule = switches.rules[k] as number;
      vector[rule >>> 5] = (vector[rule >>> 5] as number) ^ (1 << (rule & 31));
      changed[rule >>> BLOCK_SHIFT] = 1;
    }
    for (let block = 0; block < blockCount; block++) {
      if (changed[block] === 1) numbers[block] = store.keep(vector, block * BLOCK_WORDS);
      changed[block] = 0;
    }
    all.set(numbers, interval * blockCount);
  }
  return { numbers: all, summaries: all.map((number) => store.summaries[number] as number) };
}

/** Rules whose bit switches at each interval: `rules[first[interval] .. first[interval + 1]]`. A rule's ranges are merged first. */
function switchesByInterval(rules: readonly (readonly Range[])[], intervals: number): { readonly first: Int32Array; readonly rules: Int32Array } {
  const merged = rules.map((ranges) => merge(ranges));
  const first = new Int32Array(intervals + 2);
  for (const ranges of merged) for (const range of ranges) for (const edge of range) first[edge + 1] = (first[edge + 1] as number) + 1;
  for (let k = 1; k < first.length; k++) first[k] = (first[k] as number) + (first[k - 1] as number);
  const next = first.slice();
  const switched = new Int32Array(first[intervals + 1] as number);
  for (const [rule, ranges] of merged.entries()) {
    for (const range of ranges) {
      for (const edge of range) {
        const slot = next[edge] as number;
        switched[slot] = rule;
        next[edge] = slot + 1;
      }
    }
  }
  return { first, rules: switched };
}

/** Sorted ranges without overlaps. Ranges that touch may stay two: their switches cancel. */
function merge(ranges: readonly Range[]): readonly Range[] {
  if (ranges.length < 2) return ranges;
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const result: [number, number][] = [];
  for (const [begin, end] of sorted) {
    const last = result[result.length - 1];
    if (last !== undefined && begin < last[1]) last[1] = Math.max(last[1], end);
    else result.push([begin, end]);
  }
  return result;
}
