// The two narrow interfaces between the fastpath and the twin. The fastpath calls `Partner` (who decides; take this
// packet there) and fills the change ring (memory/ring.ts); the twin calls `Admission` (judge this packet for a peer).
// A unit without a twin has `loneUnit`.

/** The session's owner is this unit. */
export const OWNER_HERE = 0;
/** Hand off to the unit in bits 8 and up. */
export const OWNER_ELSEWHERE = 1;
/** The owner is dead and this unit succeeds it: adopt. */
export const OWNER_ADOPT = 2;
/** The owner is unreachable and the partition setting says stop. */
export const OWNER_STOP = 3;
/** Nobody known decides yet: drop and count. */
export const OWNER_UNKNOWN = 4;

/** Answers to a packet that was handed here. */
export const ANSWER_JUDGED = 1;
export const ANSWER_NONE = 2;
export const ANSWER_OWNER = 3;

/** Results of `query`. */
export const QUERY_SENT = 0;
/** Nobody to ask: judge here. */
export const QUERY_NOBODY = 1;
/** Too many questions: TCP and ICMP errors drop, UDP and ICMP meet the policy. */
export const QUERY_LIMITED = 2;

/** What the fastpath asks of the twin. `words` and `at` name a packet row (packets.ts). */
export interface Partner {
  /** Who decides for an owner word (SESSIONS.owner): OWNER_* | unit << 8. */
  disposition(ownerWord: number): number;
  /** Hands the packet to `unit`, the owner of session row `row`. True: the frame is taken. False: no room, the caller drops it. */
  handoff(words: Int32Array, at: number, row: number, unit: number): boolean;
  /** Asks the twin's active unit, the packet travels along. QUERY_SENT: the frame is taken. */
  query(words: Int32Array, at: number): number;
  /** Sends a packet that was handed here back to its ingress unit (ANSWER_*); `row` -1 if none. True: the frame is taken. */
  answer(words: Int32Array, at: number, kind: number, row: number): boolean;
  /** A frame of our own EtherType came in on a data port. Takes the frame. */
  controlFrame(port: number, offset: number, lengthBytes: number): void;
  /** False while this unit may emit nothing (standby, rejoining, fail-closed). */
  readonly mayForward: boolean;
  /** Drop reason while `mayForward` is false. */
  readonly silentReason: number;
  /** May this tombstone's row be used again: every streaming peer has acknowledged its end, no delayed record can come any more. */
  mayRelease(row: number): boolean;
  /** Sites that may be making sessions now, 1 or 2: limits that hold for all of them are shared equally. */
  readonly sites: number;
  /** True when UDP and ICMP first packets ask the twin before the policy (first-packet `query`). */
  readonly asksFirst: boolean;
  /** The packets of session row `row`, which is ours, come in at `unit` of the other site: the session may follow them. */
  follow(row: number, unit: number): void;
  /** True while this unit's site stands by: it answers for no gateway, and what has no session is judged by the active site. */
  readonly isPassive: boolean;
  /** True while first packets of UDP and ICMP sessions wait here until the other site knows the session (first-packet `hold`). */
  readonly holdsFirst: boolean;
  /** The unit that must know it: the other site's active one, 0 = nobody. */
  readonly heldFor: number;
  /** True on the unit where fragments of one datagram come together that reach both sites, and where there is no other site. */
  readonly gathers: boolean;
}

/** Stations behind a wire, by places of a table (wire-stations.ts). MACs: first four bytes and last two, in packet order. */
export interface StationTable {
  /** The next place from `place` on that holds one, or -1. */
  next(place: number): number;
  macOf(place: number): number;
  macRestOf(place: number): number;
  zoneOf(place: number): number;
  vlanOf(place: number): number;
  /** A mate has heard it in this zone and VLAN. `isHint`: a standby, some time ago; counts only where nothing is known, and is announced. */
  learnAt(zone: number, vlan: number, mac: number, rest: number, isHint: boolean): void;
}

/** What the twin asks of the fastpath; the frame changes hands with each call. */
export interface Admission {
  /** In transparent mode. */
  readonly stations: StationTable | null;
  /** A packet that `ingressUnit` received on its `port` (zone, VLAN as there); `handed`: HANDED_*; the id words are answered with it. */
  admit(
    offset: number,
    lengthBytes: number,
    ingressUnit: number,
    port: number,
    zone: number,
    vlan: number,
    handed: number,
    idSerial: number,
    idCreator: number,
    idIncarnation: number,
    epoch: number,
  ): void;
  /** A packet of our own ingress that came back judged: emit it. `port`, `zone`, `vlan`: where it had come in. */
  emitJudged(offset: number, lengthBytes: number, port: number, zone: number, vlan: number): void;
  /** A packet of our own ingress that came back without an owner: judge it here, without asking. */
  judgeHere(offset: number, lengthBytes: number, port: number, zone: number, vlan: number): void;
}

/** A unit that has no twin: everything is decided here. */
export const loneUnit: Partner = {
  disposition: () => OWNER_ADOPT,
  handoff: () => false,
  query: () => QUERY_NOBODY,
  answer: () => false,
  controlFrame: () => {},
  mayRelease: () => true,
  mayForward: true,
  silentReason: 0,
  sites: 1,
  asksFirst: false,
  follow: () => {},
  isPassive: false,
  holdsFirst: false,
  heldFor: 0,
  gathers: true,
};
