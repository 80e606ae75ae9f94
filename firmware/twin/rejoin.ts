// Rejoining: a unit that starts, or that stood still for too long, emits nothing until its peers have caught it up.
//
//   rejoiner   REJOIN n, digests of its own rows (repeated) ─────────► peer
//              ◄───────────── rows of the rejoiner that the peer holds newer (only of the buckets that differ)
//              ◄───────────── the peer's own rows (the sweep that each association starts)
//              ◄───────────── CAUGHT_UP n, when all of these are acknowledged
//
// The rejoiner's own sweep does not end before that: its end would delete at the peer what the peer has yet to return.
// How long a rejoiner waits at the most is roles.ts' business; here nothing waits. One that has lost rows goes on asking peers that it
// could not reach in that time, when it meets them: they may hold what it lost. It takes that back as long as it has forgotten no end of
// a session (replicas.ts): it could be one that has ended here since.

import { ROW_WORDS, S_OWNER, S_STATE, type SessionTable, STATE_FREE, STATE_TOMBSTONE } from "../fastpath/sessions.ts";
import { DIGEST_BUCKETS, UNITS } from "../limits.ts";
import { bucketOf } from "./digest.ts";
import { type Channel, CLASS_ROW, RECORD_CAUGHT_UP, RECORD_REJOIN } from "./frame.ts";
import type { Journal } from "./journal.ts";
import type { Pace } from "./pace.ts";
import type { Pending } from "./pending.ts";
import { hasBit, type Proof } from "./proof.ts";
import type { Replicas } from "./replicas.ts";
import { BUCKET_WORDS, type Sweeps } from "./sweep.ts";

const ASK_AGAIN_MICROS = 20_000;
const REJOIN_BYTES = 4;
const BOTH_PARTS = 3;

const IDLE = 0;
/** Digests are coming in; rows are being marked; they are on their way; all is acknowledged. */
const COLLECTING = 1;
const MARKING = 2;
const RETURNING = 3;
const DONE = 4;

class PeerRejoin {
  /** We rejoin: it has not caught us up yet. */
  waiting = false;
  /** It rejoins: which request, how far we are with it. */
  number = 0;
  state = IDLE;
  parts = 0;
  owner = 0;
  cursor = 0;
  readonly differing = new Int32Array(BUCKET_WORDS);
}

/** Told when a peer has caught us up. */
export interface RejoinListener {
  caughtUp(unit: number): void;
}

export class Rejoin {
  private readonly sessions: SessionTable;
  private readonly journal: Journal;
  private readonly replicas: Replicas;
  private readonly sweeps: Sweeps;
  private readonly proof: Proof;
  private readonly pace: Pace;
  private readonly channel: Channel;
  private readonly listener: RejoinListener;
  private readonly peers: PeerRejoin[] = [];
  private number: number;
  private asking = false;
  private askAtMicros = 0;

  /** `first`: a drawn number, so that requests of earlier starts are not taken for ours. */
  constructor(
    sessions: SessionTable,
    journal: Journal,
    replicas: Replicas,
    sweeps: Sweeps,
    proof: Proof,
    pace: Pace,
    channel: Channel,
    listener: RejoinListener,
    first: number,
  ) {
    this.sessions = sessions;
    this.journal = journal;
    this.replicas = replicas;
    this.sweeps = sweeps;
    this.proof = proof;
    this.pace = pace;
    this.channel = channel;
    this.listener = listener;
    this.number = first | 0;
    for (let unit = 0; unit < UNITS; unit++) this.peers.push(new PeerRejoin());
  }

  /** This unit rejoins: all peers are asked, now and when they associate. */
  begin(): void {
    this.number = (this.number + 1) | 0;
    this.asking = true;
    this.askAtMicros = 0;
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) (this.peers[unit] as PeerRejoin).waiting = true;
    this.sweeps.held.fill(1);
  }

  /** This unit has rejoined, or waits no longer; only for what it lost. */
  end(): void {
    const { mayReturn } = this.replicas;
    this.asking = mayReturn.includes(1);
    this.sweeps.held.set(mayReturn);
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) (this.peers[unit] as PeerRejoin).waiting = mayReturn[unit] === 1;
  }

  lost(unit: number): void {
    (this.peers[unit] as PeerRejoin).state = IDLE;
  }

  /** A REJOIN record: `from` wants to be caught up. True: that is news. */
  asked(from: number, body: number, bodyBytes: number): boolean {
    const peer = this.peers[from] as PeerRejoin;
    if (bodyBytes !== REJOIN_BYTES) return false;
    const number = this.channel.view.getInt32(body);
    if (peer.state !== IDLE && number === peer.number) {
      if (peer.state === DONE) this.sayCaughtUp(from, peer);
      return false;
    }
    peer.number = number;
    peer.state = COLLECTING;
    peer.parts = 0;
    peer.differing.fill(0);
    return true;
  }

  /** A DIGEST record of a rejoining unit. */
  digest(from: number, body: number, bodyBytes: number, nowMicros: number): void {
    const peer = this.peers[from] as PeerRejoin;
    if (peer.state !== COLLECTING || !this.proof.compare(from, body, bodyBytes, false, peer.differing, nowMicros)) return;
    peer.owner = this.channel.view.getInt32(body + 4);
    peer.parts |= this.channel.view.getInt32(body + 8) < DIGEST_BUCKETS / 2 ? 1 : 2;
    if (peer.parts !== BOTH_PARTS) return;
    peer.state = MARKING;
    peer.cursor = 0;
  }

  /** A CAUGHT_UP record. */
  caughtUp(from: number, body: number, bodyBytes: number): void {
    const peer = this.peers[from] as PeerRejoin;
    if (bodyBytes !== REJOIN_BYTES || !this.asking || !peer.waiting || this.channel.view.getInt32(body) !== this.number) return;
    peer.waiting = false;
    this.replicas.mayReturn[from] = 0;
    this.sweeps.held[from] = 0;
    this.listener.caughtUp(from);
  }

  /** Once per breath. */
  step(nowMicros: number): void {
    const ask = this.asking && nowMicros >= this.askAtMicros;
    if (ask) this.askAtMicros = nowMicros + ASK_AGAIN_MICROS;
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
      const pending = this.journal.pending[unit] as Pending | null;
      if (pending === null || !pending.receiving) continue;
      const peer = this.peers[unit] as PeerRejoin;
      if (ask && peer.waiting) this.ask(unit);
      if (peer.state === MARKING) this.markSlice(peer, pending);
      if (peer.state === RETURNING && pending.owed.count === 0 && this.sweeps.delivered(unit)) {
        peer.state = DONE;
        this.sayCaughtUp(unit, peer);
      }
    }
  }

  private ask(unit: number): void {
    const body = this.channel.reserve(unit, RECORD_REJOIN, 0, REJOIN_BYTES, CLASS_ROW);
    if (body < 0) return;
    this.channel.view.setInt32(body, this.number);
    this.proof.showAll(unit);
  }

  private sayCaughtUp(unit: number, peer: PeerRejoin): void {
    const body = this.channel.reserve(unit, RECORD_CAUGHT_UP, 0, REJOIN_BYTES, CLASS_ROW);
    if (body >= 0) this.channel.view.setInt32(body, peer.number);
  }

  /** The rejoiner's rows in the buckets that differ go back to it; it takes what is newer than its own. */
  private markSlice(peer: PeerRejoin, pending: Pending): void {
    const i = this.sessions.i;
    const end = Math.min(peer.cursor + this.pace.scans, this.sessions.capacity);
    for (let row = peer.cursor; row < end; row = (row + 1) | 0) {
      const at = row * ROW_WORDS;
      const kind = (i[at + S_STATE] as number) & 0xff;
      if (kind === STATE_FREE || kind === STATE_TOMBSTONE || i[at + S_OWNER] !== peer.owner || !hasBit(peer.differing, bucketOf(i, at))) continue;
      pending.owed.set(row);
      pending.addLater(row);
    }
    peer.cursor = end;
    if (end === this.sessions.capacity) peer.state = RETURNING;
  }
}
