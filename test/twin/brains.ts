// What the link's tests run in a unit: a link, a standing that stands still, and a receiver that writes down what it hears.

import { RECORD_ROW, type RecordReceiver } from "../../firmware/twin/frame.ts";
import { Link, type LinkOptions, type Standing } from "../../firmware/twin/link.ts";
import { type Brain, DATA_PORTS, SECRET, type Start, TWIN_PORT } from "./wire.ts";

/** An active unit in its first incarnation that never changes. */
export function steadyStanding(): Standing {
  return {
    role: 1,
    term: 1,
    incarnation: 7,
    flags: 0,
    successionHash: 0,
    seenIncarnation: () => 0,
    greeted: () => {},
    beat: () => {},
    append: () => 0,
    record: () => {},
  };
}

export class LinkBrain implements Brain, RecordReceiver {
  readonly link: Link;
  /** Texts of row records, by arrival. */
  readonly heard: string[] = [];
  /** "associated 3 fresh", "lost 3" … */
  readonly told: string[] = [];
  readonly start: Start;
  onBreath: ((nowMicros: number) => void) | null = null;
  private readonly offsets = new Int32Array(64);
  private readonly lengths = new Int32Array(64);

  constructor(start: Start, options: Partial<LinkOptions> = {}) {
    this.start = start;
    this.link = new Link({
      unit: start.unit,
      peers: start.peers,
      secret: SECRET,
      agreementHash: "same",
      heartbeatMillis: 20,
      heartbeatMisses: 5,
      ports: start.ports,
      twinPort: TWIN_PORT,
      packets: start.packets,
      sealer: start.sealer,
      entropy: start.entropy,
      tables: start.tables,
      notes: start.notes,
      standing: steadyStanding(),
      ...options,
    });
    this.link.connect(this);
  }

  breathe(nowMicros: number): void {
    this.link.receive(nowMicros);
    for (const number of DATA_PORTS) {
      const count = this.start.ports[number]?.receive(this.offsets, this.lengths, 64) ?? 0;
      for (let k = 0; k < count; k++) this.link.frame(number, this.offsets[k] as number, this.lengths[k] as number);
    }
    this.onBreath?.(nowMicros);
    this.link.tick(nowMicros);
    this.link.flush(nowMicros);
  }

  /** Sends a text as a row record; false when the link refuses. */
  say(unit: number, text: string, txClass = 1): boolean {
    const bytes = new TextEncoder().encode(text);
    const at = this.link.reserve(unit, RECORD_ROW, 0, bytes.length, txClass);
    if (at < 0) return false;
    this.link.bytes.set(bytes, at);
    return true;
  }

  record(_from: number, type: number, _flags: number, body: number, bodyBytes: number): boolean {
    if (type === RECORD_ROW) this.heard.push(new TextDecoder().decode(this.link.bytes.slice(body, body + bodyBytes)));
    return false;
  }

  associated(unit: number, fresh: boolean): void {
    this.told.push(`associated ${unit}${fresh ? " fresh" : ""}`);
  }

  lost(unit: number): void {
    this.told.push(`lost ${unit}`);
  }
}
