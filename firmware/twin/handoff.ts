// Handing packets to who decides, and back. The packet is never copied: the record is written into the room before it, in
// its own frame, and what does not fit one twin frame goes ahead in a second one.
//
//   ingress                                             owner, or who is asked
//      │ HANDOFF (ingress unit, port, zone, VLAN, session id and epoch, packet) ───►│ judges, tracks, emits
//      │◄── ANSWER_JUDGED ──── it cannot emit it itself: the ingress does            │
//      │◄── ANSWER_NONE ────── no such session: the ingress judges, without asking   │
//      │◄── ANSWER_OWNER ───── another unit owns it: once more, flagged last (W8)    │
//
//    0               1               2               3
//   ┌───────────────┬───────────────┬───────────────┬───────────────┐
//   │ unit          │ ingress port  │ ingress zone  │ HANDED_* flags│  unit: ingress; with ANSWER_OWNER the owner
//   ├───────────────┴───────────────┼───────────────┴───────────────┤
//   │ VLAN                          │ packet bytes                  │
//   ├───────────────────────────────┴───────────────────────────────┤
//   │ session id (three words), epoch: 16 bytes, 0 = none           │
//   ├───────────────────────────────────────────────────────────────┤
//   │ number of the packet, for its rest                            │
//   ├───────────────────────────────────────────────────────────────┤
//   │ Ethernet frame …                                              │

import { word } from "../fastpath/memory/layout.ts";
import { counterRow, MEMBERS, type Tables } from "../fastpath/memory/tables.ts";
import {
  HANDED_LAST,
  HANDED_QUERY,
  HANDED_STRAY,
  P_EPOCH,
  P_HANDED,
  P_ID_CREATOR,
  P_ID_INCARNATION,
  P_ID_SERIAL,
  P_INGRESS,
  P_LENGTH,
  P_OFFSET,
  P_PORT,
  P_VLAN,
  P_ZONE,
} from "../fastpath/packets.ts";
import { type Admission, ANSWER_OWNER, OWNER_ELSEWHERE, QUERY_LIMITED, QUERY_NOBODY, QUERY_SENT } from "../fastpath/partner.ts";
import {
  NOT_FOUND,
  ownerUnit,
  ROW_WORDS,
  S_EPOCH,
  S_ID_CREATOR,
  S_ID_INCARNATION,
  S_ID_SERIAL,
  S_OWNER,
  S_STATE,
  type SessionTable,
  STATE_TOMBSTONE,
} from "../fastpath/sessions.ts";
import { drop } from "../fastpath/verdicts.ts";
import { type PacketMemory, SEAL_HEADER_BYTES, SEAL_TAG_BYTES } from "../hal/contracts.ts";
import { FRAME_BYTES, FRAME_HEADROOM_BYTES, UNITS } from "../limits.ts";
import {
  type Channel,
  CLASS_HANDOFF,
  CLASS_QUERY,
  ETHERNET_BYTES,
  RECORD_ANSWER_JUDGED,
  RECORD_ANSWER_NONE,
  RECORD_ANSWER_OWNER,
  RECORD_HANDOFF,
  RECORD_HANDOFF_REST,
  RECORD_HEADER_BYTES,
} from "./frame.ts";
import type { Grants } from "./grants.ts";
import { Halves } from "./halves.ts";
import { Questions } from "./questions.ts";
import type { Dispositions, Replicas } from "./replicas.ts";

const H_UNIT = 0;
const H_PORT = 1;
const H_ZONE = 2;
const H_HANDED = 3;
const H_VLAN = 4;
const H_BYTES = 6;
const H_SERIAL = 8;
const H_CREATOR = 12;
const H_INCARNATION = 16;
const H_EPOCH = 20;
const H_NUMBER = 24;
export const HANDOFF_HEADER_BYTES = 28;
/** A rest: number, bytes of the packet. */
const REST_HEADER_BYTES = 4;
/** Room that sending in place needs before the packet. */
const ROOM_BYTES = ETHERNET_BYTES + SEAL_HEADER_BYTES + RECORD_HEADER_BYTES + HANDOFF_HEADER_BYTES;
/** Record flag: the packet's rest comes in a frame of its own. */
const FLAG_SPLIT = 1;

const INCOMPLETE = drop("handoff-incomplete");
const TOO_MANY = drop("handoff-too-many");
const FULL = drop("handoff-full");
const OWNER_UNKNOWN_REASON = drop("owner-unknown");
const C_HANDED_OFF = counterRow("handed-off");
const C_HANDED_HERE = counterRow("handed-here");
const C_QUERIED = counterRow("queried");
const C_BACK = [0, counterRow("handed-back-judged"), counterRow("handed-back-none"), counterRow("handed-back-owner")];
const ANSWER_RECORDS = [0, RECORD_ANSWER_JUDGED, RECORD_ANSWER_NONE, RECORD_ANSWER_OWNER];
const M_HANDED_OFF = word(MEMBERS, "handedOff") >> 1;
const M_HANDED_HERE = word(MEMBERS, "handedHere") >> 1;
const MEMBER_DOUBLES = MEMBERS.strideWords >> 1;

/** What handing off needs to know of roles.ts. */
export interface HandoffRoles extends Dispositions {
  /** The twin's active unit, whom to ask; 0 = nobody. */
  readonly twinActive: number;
  /** This unit is its site's active one. */
  readonly isActive: boolean;
}

export class Handoff {
  private readonly sessions: SessionTable;
  private readonly replicas: Replicas;
  private readonly grants: Grants;
  private readonly roles: HandoffRoles;
  private readonly channel: Channel;
  private readonly memory: PacketMemory;
  private readonly view: DataView;
  private readonly counters: Float64Array;
  private readonly members: Float64Array;
  private readonly halves: Halves;
  private readonly questions = new Questions();
  private readonly unit: number;
  private admission: Admission | null = null;
  private number = 0;
  private nowMicros = 0;

  constructor(
    sessions: SessionTable,
    replicas: Replicas,
    grants: Grants,
    roles: HandoffRoles,
    channel: Channel,
    memory: PacketMemory,
    tables: Pick<Tables, "counters" | "members">,
  ) {
    this.sessions = sessions;
    this.replicas = replicas;
    this.grants = grants;
    this.roles = roles;
    this.channel = channel;
    this.memory = memory;
    this.view = memory.view;
    this.counters = tables.counters.f;
    this.members = tables.members.f;
    this.halves = new Halves(memory);
    this.unit = sessions.unit;
  }

  attach(admission: Admission): void {
    this.admission = admission;
  }

  /** The clock of this breath; gives up halves that waited for too long. */
  at(nowMicros: number): void {
    this.nowMicros = nowMicros;
    const expired = this.halves.expire(nowMicros);
    if (expired > 0) this.counters[INCOMPLETE] = (this.counters[INCOMPLETE] as number) + expired;
  }

  /** Partner.handoff: the packet at `words[at]` goes to `unit`, the owner of `row`. True: the frame is taken. */
  handoff(words: Int32Array, at: number, row: number, unit: number): boolean {
    const session = row * ROW_WORDS;
    const i = this.sessions.i;
    const offset = this.place(words[at + P_OFFSET] as number, words[at + P_LENGTH] as number);
    words[at + P_OFFSET] = offset;
    const body = offset - HANDOFF_HEADER_BYTES;
    this.writeWhere(body, this.unit, words, at, words[at + P_HANDED] as number);
    this.writeId(
      body,
      i[session + S_ID_SERIAL] as number,
      i[session + S_ID_CREATOR] as number,
      i[session + S_ID_INCARNATION] as number,
      i[session + S_EPOCH] as number,
    );
    if (!this.emit(unit, RECORD_HANDOFF, body, words[at + P_LENGTH] as number, CLASS_HANDOFF)) return false;
    this.counted(unit);
    return true;
  }

  /** Partner.query: asks the twin's active unit about the packet, which travels along. */
  query(words: Int32Array, at: number): number {
    const unit = this.roles.twinActive;
    if (unit === 0 || !this.channel.associated(unit)) return QUERY_NOBODY;
    if (!this.questions.allow(words, at, this.nowMicros)) return QUERY_LIMITED;
    const offset = this.place(words[at + P_OFFSET] as number, words[at + P_LENGTH] as number);
    words[at + P_OFFSET] = offset;
    const body = offset - HANDOFF_HEADER_BYTES;
    this.writeWhere(body, this.unit, words, at, HANDED_QUERY | ((words[at + P_HANDED] as number) & HANDED_STRAY));
    this.writeId(body, 0, 0, 0, 0);
    if (!this.emit(unit, RECORD_HANDOFF, body, words[at + P_LENGTH] as number, CLASS_QUERY)) return QUERY_LIMITED;
    this.counters[C_QUERIED] = (this.counters[C_QUERIED] as number) + 1;
    return QUERY_SENT;
  }

  /** Partner.answer: sends a packet that was handed here back to its ingress unit. `kind`: ANSWER_*. True: the frame is taken. */
  answer(words: Int32Array, at: number, kind: number, row: number): boolean {
    const unit = words[at + P_INGRESS] as number;
    const i = this.sessions.i;
    const session = row * ROW_WORDS;
    let named = 0;
    if (kind === ANSWER_OWNER) {
      if (((words[at + P_HANDED] as number) & HANDED_LAST) !== 0) return this.refuse(words[at + P_OFFSET] as number, TOO_MANY);
      const disposition = this.roles.disposition(i[session + S_OWNER] as number);
      named = (disposition & 0xff) === OWNER_ELSEWHERE ? disposition >> 8 : ownerUnit(i[session + S_OWNER] as number);
    }
    const offset = this.place(words[at + P_OFFSET] as number, words[at + P_LENGTH] as number);
    words[at + P_OFFSET] = offset;
    const body = offset - HANDOFF_HEADER_BYTES;
    this.writeWhere(body, named, words, at, words[at + P_HANDED] as number);
    if (kind === ANSWER_OWNER)
      this.writeId(
        body,
        i[session + S_ID_SERIAL] as number,
        i[session + S_ID_CREATOR] as number,
        i[session + S_ID_INCARNATION] as number,
        i[session + S_EPOCH] as number,
      );
    else
      this.writeId(
        body,
        words[at + P_ID_SERIAL] as number,
        words[at + P_ID_CREATOR] as number,
        words[at + P_ID_INCARNATION] as number,
        words[at + P_EPOCH] as number,
      );
    if (!this.emit(unit, ANSWER_RECORDS[kind] as number, body, words[at + P_LENGTH] as number, CLASS_HANDOFF)) return false;
    const counter = C_BACK[kind] as number;
    this.counters[counter] = (this.counters[counter] as number) + 1;
    return true;
  }

  /** A record of types 32..47. True: the frame is kept. */
  record(from: number, type: number, flags: number, body: number, bodyBytes: number): boolean {
    if (type === RECORD_HANDOFF_REST) {
      this.rest(from, body, bodyBytes);
      return false;
    }
    if (bodyBytes < HANDOFF_HEADER_BYTES + ETHERNET_BYTES || from <= 0 || from >= UNITS) return false;
    let length = bodyBytes - HANDOFF_HEADER_BYTES;
    if ((flags & FLAG_SPLIT) !== 0) {
      length = this.halves.head(from, this.view.getInt32(body + H_NUMBER), body, HANDOFF_HEADER_BYTES, length, this.nowMicros);
      if (length === 0) return true;
    }
    return this.complete(from, type, body, length);
  }

  private rest(from: number, body: number, bodyBytes: number): void {
    if (bodyBytes <= REST_HEADER_BYTES || bodyBytes > FRAME_BYTES) return;
    const length = this.halves.rest(
      from,
      this.view.getInt32(body),
      body + REST_HEADER_BYTES,
      bodyBytes - REST_HEADER_BYTES,
      HANDOFF_HEADER_BYTES,
      this.nowMicros,
    );
    if (length < 0) this.count(INCOMPLETE);
    if (length <= 0) return;
    const first = this.halves.completedBody;
    const type = this.view.getUint8(first - RECORD_HEADER_BYTES);
    if (!this.complete(from, type, first, length)) this.memory.give(first);
  }

  /** A whole packet is here. False: it was dropped and counted, the frame is still the caller's. */
  private complete(from: number, type: number, body: number, length: number): boolean {
    const view = this.view;
    if (length !== view.getUint16(body + H_BYTES) || this.admission === null) {
      this.count(INCOMPLETE);
      return false;
    }
    const offset = body + HANDOFF_HEADER_BYTES;
    const port = view.getUint8(body + H_PORT);
    const zone = view.getUint8(body + H_ZONE);
    const vlan = view.getUint16(body + H_VLAN);
    const handed = view.getUint8(body + H_HANDED);
    if (type === RECORD_HANDOFF) {
      this.count(C_HANDED_HERE);
      const here = from * MEMBER_DOUBLES + M_HANDED_HERE;
      this.members[here] = (this.members[here] as number) + 1;
      this.takeGrant(from, body);
      this.admission.admit(
        offset,
        length,
        from,
        port,
        zone,
        vlan,
        handed,
        view.getInt32(body + H_SERIAL),
        view.getInt32(body + H_CREATOR),
        view.getInt32(body + H_INCARNATION),
        view.getInt32(body + H_EPOCH),
      );
    } else if (type === RECORD_ANSWER_JUDGED) this.admission.emitJudged(offset, length, port, zone, vlan);
    else if (type === RECORD_ANSWER_NONE) {
      if (!this.dropUnlessNewer(from, body)) {
        // It will know it in a moment: sent again, the packet finds its owner.
        this.count(OWNER_UNKNOWN_REASON);
        return false;
      }
      this.admission.judgeHere(offset, length, port, zone, vlan);
    } else if (type === RECORD_ANSWER_OWNER) return this.secondHandoff(from, body, length, handed, port, zone, vlan);
    else return false;
    return true;
  }

  /** What is handed here as ours may be the first that we hear of a grant. */
  private takeGrant(from: number, body: number): void {
    const view = this.view;
    this.grants.taken(
      from,
      view.getInt32(body + H_SERIAL),
      view.getInt32(body + H_CREATOR),
      view.getInt32(body + H_INCARNATION),
      view.getInt32(body + H_EPOCH),
      this.nowMicros,
    );
  }

  /** The peer named the owner: the packet goes there, and no further (W8). */
  private secondHandoff(from: number, body: number, length: number, handed: number, port: number, zone: number, vlan: number): boolean {
    const unit = this.view.getUint8(body + H_UNIT);
    if ((handed & HANDED_LAST) !== 0) {
      this.count(TOO_MANY);
      return false;
    }
    if (unit === this.unit) {
      this.takeGrant(from, body);
      (this.admission as Admission).judgeHere(body + HANDOFF_HEADER_BYTES, length, port, zone, vlan);
      return true;
    }
    if (unit === 0 || unit === from || unit >= UNITS) {
      this.count(OWNER_UNKNOWN_REASON);
      return false;
    }
    this.view.setUint8(body + H_UNIT, this.unit);
    this.view.setUint8(body + H_HANDED, (handed & ~HANDED_QUERY) | HANDED_LAST);
    const offset = this.place(body + HANDOFF_HEADER_BYTES, length);
    if (!this.emit(unit, RECORD_HANDOFF, offset - HANDOFF_HEADER_BYTES, length, CLASS_HANDOFF)) {
      this.count(FULL);
      return false;
    }
    this.counted(unit);
    return true;
  }

  /**
   * `none(id)`: the replica that the packet was handed off for is nobody's, unless a newer state of it has come meanwhile. False: the
   * peer is just being shown it.
   */
  private dropUnlessNewer(from: number, body: number): boolean {
    const view = this.view;
    const row = this.sessions.findById(view.getInt32(body + H_SERIAL), view.getInt32(body + H_CREATOR), view.getInt32(body + H_INCARNATION));
    if (row === NOT_FOUND) return true;
    if (this.replicas.isOffered(row, from)) return false;
    const at = row * ROW_WORDS;
    const i = this.sessions.i;
    if (((i[at + S_STATE] as number) & 0xff) === STATE_TOMBSTONE || i[at + S_OWNER] === this.sessions.me) return true;
    if ((((i[at + S_EPOCH] as number) - view.getInt32(body + H_EPOCH)) | 0) <= 0) this.replicas.disowned(row, from);
    return true;
  }

  /** Sends the packet behind the header at `body`, in one frame or in two. True: the frame is taken. */
  private emit(unit: number, type: number, body: number, length: number, txClass: number): boolean {
    const view = this.view;
    view.setUint16(body + H_BYTES, length);
    const most = this.channel.bodyBytesMost(unit);
    if (HANDOFF_HEADER_BYTES + length <= most)
      return this.channel.sendInPlace(unit, type, 0, body - RECORD_HEADER_BYTES, HANDOFF_HEADER_BYTES + length, txClass);
    const headBytes = most - HANDOFF_HEADER_BYTES;
    const restBytes = length - headBytes;
    if (headBytes < ETHERNET_BYTES || REST_HEADER_BYTES + restBytes > most) return false;
    const rest = this.channel.reserve(unit, RECORD_HANDOFF_REST, 0, REST_HEADER_BYTES + restBytes, txClass);
    if (rest < 0) return false;
    this.number = (this.number + 1) | 0;
    view.setInt32(rest, this.number);
    view.setInt32(body + H_NUMBER, this.number);
    const from = body + HANDOFF_HEADER_BYTES + headBytes;
    this.memory.bytes.copyWithin(rest + REST_HEADER_BYTES, from, from + restBytes);
    return this.channel.sendInPlace(unit, type, FLAG_SPLIT, body - RECORD_HEADER_BYTES, HANDOFF_HEADER_BYTES + headBytes, txClass);
  }

  /** Where the packet can be sent in place from: it is moved only if its frame has no room before or behind it. */
  private place(offset: number, length: number): number {
    const frame = offset & -FRAME_BYTES;
    if (offset - frame >= ROOM_BYTES && offset + length + SEAL_TAG_BYTES <= frame + FRAME_BYTES) return offset;
    const start = frame + FRAME_HEADROOM_BYTES;
    const lead = Math.min(HANDOFF_HEADER_BYTES, offset - frame);
    this.memory.bytes.copyWithin(start - lead, offset - lead, offset + length);
    return start;
  }

  private writeWhere(body: number, unit: number, words: Int32Array, at: number, handed: number): void {
    const view = this.view;
    view.setUint8(body + H_UNIT, unit);
    view.setUint8(body + H_PORT, words[at + P_PORT] as number);
    view.setUint8(body + H_ZONE, words[at + P_ZONE] as number);
    view.setUint8(body + H_HANDED, handed);
    view.setUint16(body + H_VLAN, words[at + P_VLAN] as number);
    view.setInt32(body + H_NUMBER, 0);
  }

  private writeId(body: number, serial: number, creator: number, incarnation: number, epoch: number): void {
    const view = this.view;
    view.setInt32(body + H_SERIAL, serial);
    view.setInt32(body + H_CREATOR, creator);
    view.setInt32(body + H_INCARNATION, incarnation);
    view.setInt32(body + H_EPOCH, epoch);
  }

  private refuse(offset: number, reason: number): boolean {
    this.count(reason);
    this.memory.give(offset);
    return true;
  }

  private counted(unit: number): void {
    this.count(C_HANDED_OFF);
    const there = unit * MEMBER_DOUBLES + M_HANDED_OFF;
    this.members[there] = (this.members[there] as number) + 1;
  }

  private count(row: number): void {
    this.counters[row] = (this.counters[row] as number) + 1;
  }
}
