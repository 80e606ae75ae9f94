// Two honest TCP ends talk through a whole unit over a line that loses, delays and reorders, and somebody on the way puts segments in.
// Two properties: what the honest ends send passes, always; and what lies outside the windows (T1, by a model that knows nothing but
// the packets that have passed) does not, nor does a reset end anything that is not exact (T2), nor a SYN (T3), nor a damaged segment.
//
//   client ◄──► line ◄──► unit ◄──► line ◄──► server          intruder ──► unit, from either side

import { craft, rule } from "../fastpath/craft.ts";
import { ONE, Rig, THREE } from "../fastpath/rig.ts";
import { u16, u32 } from "../sim/packets.ts";
import { Chance } from "./chance.ts";

const SYN = 2;
const RST = 4;
const ACK = 16;
const CLIENT_PORT = 40_000;
const SERVER_PORT = 80;
const CONNECTION_STEPS = 400;
const ACK_WINDOW_BYTES = 66_000;
const SEGMENT_BYTES = 1_400;
/** Segments under way towards the unit, from each side. */
const UNDER_WAY = 6;

export interface TrackingReport {
  readonly connections: number;
  readonly honest: number;
  readonly intruding: number;
  readonly refused: number;
}

interface Segment {
  readonly flags: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  /** As it stands in the header. */
  readonly window: number;
  readonly length: number;
  readonly options?: readonly number[];
  readonly spoiled?: boolean;
}

/** Sequence order. */
const after = (a: number, b: number): boolean => ((a - b) | 0) > 0;

/** Runs until `connections` were made or `minutes` have passed; throws at the first promise broken. */
export function fuzzTracking(seed: number, connections: number, minutes = Number.POSITIVE_INFINITY): TrackingReport {
  const until = performance.now() + minutes * 60_000;
  const sum = { connections: 0, honest: 0, intruding: 0, refused: 0 };
  for (; sum.connections < connections && performance.now() < until; sum.connections++) {
    const connection = new Connection(new Chance((Math.imul(seed, 1_000_003) + sum.connections) | 0));
    try {
      connection.play();
    } catch (error) {
      throw new Error(`tracking, seed ${seed}, connection ${sum.connections}\n${connection.story.slice(-12).join("\n")}`, { cause: error });
    }
    sum.honest += connection.honest;
    sum.intruding += connection.intruding;
    sum.refused += connection.refused;
  }
  return sum;
}

/** An end: sends what its peer's window allows, goes back to what is not acknowledged, takes what comes in order. */
class End {
  next: number;
  unacknowledged: number;
  expected = 0;
  /** What the peer allows: right edge. */
  allowed = 0;
  /** Right edge that this end has promised. */
  private promised = 0;
  readonly scale: number;
  private readonly chance: Chance;

  constructor(chance: Chance, scale: number) {
    this.chance = chance;
    this.scale = scale;
    this.next = chance.below(0x7fffffff) * 2;
    this.unacknowledged = this.next;
  }

  /** Any segment that this end may send now. */
  speak(scale: number): Segment {
    const { chance } = this;
    const window = this.window(scale);
    const header = { flags: ACK, acknowledgement: this.expected, window };
    const room = (this.allowed - this.next) | 0;
    const kind = chance.below(10);
    // RFC 9293 §3.8.4: a keep-alive repeats the byte before the next one, or none.
    if (kind === 0) return { ...header, sequence: (this.next - 1) | 0, length: chance.below(2) };
    if (kind <= 2 && after(this.next, this.unacknowledged)) {
      return { ...header, sequence: this.unacknowledged, length: Math.min((this.next - this.unacknowledged) | 0, SEGMENT_BYTES) };
    }
    const length = kind <= 6 ? Math.max(0, Math.min(room, chance.between(1, SEGMENT_BYTES))) : 0;
    const segment = { ...header, sequence: this.next, length };
    this.next = (this.next + length) | 0;
    return segment;
  }

  /** A window never takes back what it has promised (RFC 9293 §3.8.6.2.1). */
  private window(scale: number): number {
    const offered = this.chance.pick([0, 1, 100, 8_192, 30_000, 65_535]);
    const least = Math.max(0, (this.promised - this.expected) | 0);
    const window = Math.min(65_535, Math.max(offered, Math.ceil(least / 2 ** scale)));
    const edge = (this.expected + window * 2 ** scale) | 0;
    if (after(edge, this.promised)) this.promised = edge;
    return window;
  }

  promise(window: number): void {
    this.promised = (this.expected + window) | 0;
  }

  hear(segment: Segment, scale: number): void {
    if (segment.sequence === this.expected) this.expected = (this.expected + segment.length) | 0;
    if (after(segment.acknowledgement, this.unacknowledged) && !after(segment.acknowledgement, this.next)) this.unacknowledged = segment.acknowledgement;
    const edge = (segment.acknowledgement + segment.window * 2 ** scale) | 0;
    if (after(edge, this.allowed)) this.allowed = edge;
  }
}

/** What the packets that have passed say of one direction (T1). */
interface Known {
  end: number;
  maxEnd: number;
  maxWindow: number;
  acked: number;
}

class Connection {
  readonly story: string[] = [];
  honest = 0;
  intruding = 0;
  refused = 0;
  private readonly chance: Chance;
  private readonly rig = new Rig({ rules: [rule(1, { fromZones: [1] })] });
  private readonly v6: boolean;
  private readonly ends: readonly [End, End];
  private readonly known: readonly [Known, Known];
  /** Scales in force, by sender. */
  private readonly scales: readonly [number, number];
  /** Sequence numbers of the intruder's SYNs. */
  private readonly asked = new Set<number>();
  private readonly underWay: [Segment[], Segment[]] = [[], []];

  constructor(chance: Chance) {
    this.chance = chance;
    this.v6 = chance.once(2);
    const offered = [chance.pick([-1, 0, 2, 7, 14]), chance.pick([-1, 0, 2, 7, 14])] as const;
    const both = offered[0] >= 0 && offered[1] >= 0;
    this.ends = [new End(chance, offered[0]), new End(chance, offered[1])];
    this.scales = [both ? offered[0] : 0, both ? offered[1] : 0];
    const fresh = (): Known => ({ end: 0, maxEnd: 0, maxWindow: 1, acked: 0 });
    this.known = [fresh(), fresh()];
    this.rig.meetHosts();
  }

  play(): void {
    this.shakeHands();
    for (let step = 0; step < CONNECTION_STEPS; step++) {
      if (this.chance.once(3)) this.intrude();
      else this.talk();
      if (this.chance.once(100)) this.rig.pass(this.chance.between(10, 2_000), 100);
    }
    this.must(this.rig.lost === 0, `${this.rig.lost} frames lost`);
  }

  private must(holds: boolean, what: string): void {
    if (!holds) throw new Error(what);
  }

  private shakeHands(): void {
    const [client, server] = this.ends;
    const options = (scale: number) => (scale < 0 ? [] : [3, 3, scale, 1]);
    const windows = [this.chance.between(1, 65_535), this.chance.between(1, 65_535)] as const;
    this.known[0].end = this.known[0].maxEnd = (client.next + 1) | 0;
    this.known[0].maxWindow = windows[0];
    this.pass(0, { flags: SYN, sequence: client.next, acknowledgement: 0, window: windows[0], length: 0, options: options(client.scale) }, "SYN");
    client.next = client.unacknowledged = (client.next + 1) | 0;
    server.expected = client.next;
    server.promise(windows[1]);
    this.pass(
      1,
      { flags: SYN | ACK, sequence: server.next, acknowledgement: client.next, window: windows[1], length: 0, options: options(server.scale) },
      "SYN,ACK",
    );
    server.next = server.unacknowledged = (server.next + 1) | 0;
    client.expected = server.next;
    client.promise(windows[0]);
    client.allowed = (client.next + windows[1]) | 0;
    server.allowed = (server.next + windows[0]) | 0;
    this.known[0].acked = client.next;
    this.known[1].end = this.known[1].acked = server.next;
    this.known[1].maxEnd = server.allowed;
    this.known[1].maxWindow = windows[1];
    this.known[0].maxEnd = client.allowed;
    const window = windows[0] >> this.scales[0];
    this.pass(0, { flags: ACK, sequence: client.next, acknowledgement: client.expected, window, length: 0 }, "ACK");
    this.learn(0, { flags: ACK, sequence: client.next, acknowledgement: client.expected, window, length: 0 });
  }

  /** One of the ends speaks, or something that is under way arrives, or is lost. */
  private talk(): void {
    const side = this.chance.below(2) as 0 | 1;
    const line = this.underWay[side];
    if (line.length < UNDER_WAY && this.chance.once(2)) {
      line.push(this.ends[side].speak(this.scales[side]));
      return;
    }
    const segment = line.splice(this.chance.once(4) ? this.chance.below(line.length || 1) : 0, 1)[0];
    if (segment === undefined || this.chance.once(20)) return;
    this.pass(side, segment, "honest");
    this.learn(side, segment);
    this.honest++;
    // Behind the unit packets are lost too.
    if (!this.chance.once(20)) this.ends[1 - side]?.hear(segment, this.scales[side]);
  }

  private pass(side: 0 | 1, segment: Segment, who: string): void {
    this.must(this.send(side, segment, who), `${who}: a segment that must pass does not: ${JSON.stringify(this.rig.drops())}`);
  }

  /** Puts a segment in; true when it came out. */
  private send(side: 0 | 1, segment: Segment, who: string): boolean {
    const { rig } = this;
    this.story.push(`${who} ${side === 0 ? "client" : "server"} ${JSON.stringify(segment)} known ${JSON.stringify(this.known)}`);
    const version = this.v6 ? "v6" : "v4";
    const { flags, sequence, acknowledgement, window, length, options = [], spoiled = false } = segment;
    const parts = { flags, sequence, acknowledgement, window, tcpOptions: options, payload: new Array<number>(length).fill(7) };
    const ports = side === 0 ? { sourcePort: CLIENT_PORT, destinationPort: SERVER_PORT } : { sourcePort: SERVER_PORT, destinationPort: CLIENT_PORT };
    const [from, to] = side === 0 ? [ONE, THREE] : [THREE, ONE];
    const frame = craft({
      ...parts,
      ...ports,
      source: from[version],
      destination: to[version],
      sourceMac: from.mac,
      destinationMac: from.gatewayMac,
      ...(side === 1 && { vlan: 30 }),
    });
    if (spoiled) frame[frame.length - 1] = (frame[frame.length - 1] as number) ^ 0x21;
    rig.put(side, frame);
    const out = rig.seen(1 - side).filter(({ protocol }) => protocol === 6);
    rig.frames(side);
    this.must(out.length <= 1, "one segment came out twice");
    const seen = out[0];
    if (seen === undefined) return false;
    this.must(u32(seen.frame, seen.at + 4) === sequence >>> 0 && u16(seen.frame, seen.at + 14) === window, "another segment came out");
    return true;
  }

  /** The model follows what has passed. */
  private learn(side: 0 | 1, { sequence, acknowledgement, window, length }: Segment): void {
    const own = this.known[side];
    const other = this.known[1 - side] as Known;
    const end = (sequence + length) | 0;
    if (after(end, own.end)) own.end = end;
    const bytes = window * 2 ** this.scales[side];
    if (bytes > own.maxWindow) own.maxWindow = bytes;
    const edge = (acknowledgement + Math.max(bytes, 1)) | 0;
    if (after(edge, other.maxEnd)) other.maxEnd = edge;
    if (after(acknowledgement, other.acked)) other.acked = acknowledgement;
  }

  /** T1, with RFC 5961 §5 for what was overtaken. */
  private fits(side: 0 | 1, { flags, sequence, acknowledgement, length }: Segment): boolean {
    const own = this.known[side];
    const other = this.known[1 - side] as Known;
    if (after(sequence, own.maxEnd)) return false;
    if (after((own.acked - other.maxWindow) | 0, (sequence + length) | 0)) return false;
    if ((flags & ACK) === 0) return true;
    if (after(acknowledgement, other.end)) return false;
    return !after((other.acked - Math.max(own.maxWindow, ACK_WINDOW_BYTES)) | 0, acknowledgement);
  }

  /** Somebody puts a segment in that must not pass, or may pass and must end nothing. */
  private intrude(): void {
    const { chance } = this;
    const side = chance.below(2) as 0 | 1;
    const own = this.known[side];
    const other = this.known[1 - side] as Known;
    const far = () => chance.pick([1, 2, 100, 70_000, 1 << 20, 1 << 30, 0x7fffffff]) * chance.pick([1, -1]);
    const plain: Segment = {
      flags: ACK,
      sequence: own.end,
      acknowledgement: other.end,
      window: chance.pick([0, 1, 65_535]),
      length: chance.pick([0, 1, 100]),
    };
    const kind = chance.below(5);
    this.intruding++;
    if (kind === 0) this.refuse(side, { ...plain, spoiled: true });
    else if (kind === 1) this.refuse(side, { ...plain, flags: chance.pick([0, 1, 3, 6, 7, 0x29, 0x3f]) });
    else if (kind === 2) {
      const reset = { ...plain, flags: chance.pick([RST, RST | ACK]), sequence: (own.end + far()) | 0, length: 0 };
      // Exactly what the receiver expects closes, and would be right to (T2).
      if (reset.sequence === own.end || reset.sequence === own.acked) return;
      // So may one that answers a SYN which has passed: who is asked has forgotten the connection (RFC 9293 §3.5.1).
      if (this.asked.has((reset.acknowledgement - 1) | 0)) return;
      const passed = this.send(side, reset, "intruder");
      this.must(this.fits(side, reset) || !passed, "a reset outside the windows passes");
    } else if (kind === 3) {
      const syn = { ...plain, flags: SYN, sequence: (own.end + far()) | 0, length: 0 };
      this.asked.add(syn.sequence);
      this.send(side, syn, "intruder");
    } else {
      const odd = chance.once(2) ? { ...plain, sequence: (own.maxEnd + far()) | 0 } : { ...plain, acknowledgement: (other.end + far()) | 0 };
      if (this.fits(side, odd)) return;
      this.refuse(side, odd);
    }
    this.must(this.rig.states().join() === "established", `the session is ${this.rig.states().join() || "gone"}`);
  }

  private refuse(side: 0 | 1, segment: Segment): void {
    this.must(!this.send(side, segment, "intruder"), "an intruder's segment passes");
    this.refused++;
  }
}
