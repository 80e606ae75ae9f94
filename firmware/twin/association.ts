// What this unit shares with one peer: draws, challenge, keys, counters, replay windows. hello.ts makes associations,
// this file keeps them and rotates their keys.
//
//   sender                                     receiver
//   KEY_OFFER n+1 (with each heartbeat) ─────► installs n+1 unless n-1 still retires
//                  ◄───────────────────────── KEY_READY n+1
//   seals under n+1 from now on ─────────────► first frame verifies: n opens frames for KEY_RETIRE_MILLIS more
//
// An offer also names the generation of the secret that key n+1 is derived from (keys.ts), so that a new secret comes into use by the
// same exchange. The latest offer counts: until key n+1 is used, a newer generation replaces it.
//
// Counters grow from this unit's start to its end, whatever happens to associations and keys; each start has a draw of its
// own. So no counter meets a key twice, even if an association with the same draws were ever made again.

import type { Entropy, Sealer } from "../hal/contracts.ts";
import { KEY_FRAMES, KEY_MILLIS, KEY_RETIRE_MILLIS, TWIN_MTU_BYTES } from "../limits.ts";
import { GROUP_MAC, PATH_TWIN, PATHS } from "./frame.ts";
import { DRAW_BYTES, type Keyring, PairKeyrings } from "./keys.ts";
import type { ReplayWindows } from "./replay.ts";

/** Sealer slots per peer: sending keys by parity, then receiving keys by parity. */
const SLOTS_PER_UNIT = 4;
const NO_KEY = -1;

/** What all associations of a unit have in common. */
export interface Household {
  readonly unit: number;
  readonly sealer: Sealer;
  readonly entropy: Entropy;
  readonly windows: ReplayWindows;
  /** Drawn at this start. */
  readonly draw: Uint8Array;
  /** When a sending key is replaced; limits.ts unless a test is in a hurry. */
  readonly keyFrames?: number;
  readonly keyMillis?: number;
}

/** Replay windows that a unit's `ReplayWindows` must hold for units 0..units-1. */
export function windowsFor(units: number): number {
  return units * 2 * PATHS;
}

export class Association {
  readonly unit: number;
  readonly keys: PairKeyrings;
  /** Keys exist. */
  agreed = false;
  /** A frame of the peer was opened with them: it has them too. */
  confirmed = false;
  /** The start of the peer that the keys are for; zeroes before the first association. */
  readonly peerDraw = new Uint8Array(DRAW_BYTES);
  /** What the next greeting must answer to be accepted. */
  readonly challenge = new Uint8Array(DRAW_BYTES);
  /** The peer's last authentic greeting: its draw and its challenge, given back in ours. */
  readonly heardDraw = new Uint8Array(DRAW_BYTES);
  readonly heardChallenge = new Uint8Array(DRAW_BYTES);
  /** Learnt from the accepted greeting. */
  readonly mac = new Uint8Array(6);
  peerMtuBytes = TWIN_MTU_BYTES;
  /** The path of the peer's second twin port, 0 = it has none. */
  peerSecond = PATH_TWIN;
  /** What its heartbeats on that path say of that port; until the first of them all units on the segment are addressed. */
  readonly secondMac = GROUP_MAC.slice();
  secondMtuBytes = TWIN_MTU_BYTES;
  commonWords: Int32Array = new Int32Array(0);
  /** Counter that was drawn last, by path. Never goes back. */
  readonly counters = new Float64Array(PATHS);
  sendSlot = NO_KEY;
  /** Number of the key in `sendSlot`; its low byte travels. */
  sendNumber = 0;
  private sendKeyring: Keyring | null = null;
  /** What the key on offer is derived from. */
  private offerKeyring: Keyring | null = null;
  private sendFrames = 0;
  private sendSinceMicros = 0;
  /** Receiving keys by parity of their number; NO_KEY: none. */
  private readonly receiveNumbers = new Int32Array(2).fill(NO_KEY);
  private readonly receiveKeyrings: (Keyring | null)[] = [null, null];
  private receiveNewest = 0;
  private retireAtMicros = Number.POSITIVE_INFINITY;
  private readonly house: Household;
  private readonly base: number;
  private readonly keyFrames: number;
  private readonly keyMicros: number;

  constructor(unit: number, house: Household) {
    this.unit = unit;
    this.house = house;
    this.base = unit * SLOTS_PER_UNIT;
    this.keys = new PairKeyrings(house.unit, unit);
    this.keyFrames = house.keyFrames ?? KEY_FRAMES;
    this.keyMicros = (house.keyMillis ?? KEY_MILLIS) * 1000;
    house.entropy.fill(this.challenge);
  }

  /**
   * The peer answered our challenge, which is spent. False: it is the start that we have keys for, and they stand: making them anew
   * would forget the replay windows. A newer generation is taken up if one side (`isUnheard`: the peer) opens nothing of the other's.
   */
  accept(peerDraw: Uint8Array, keyring: Keyring, isUnheard: boolean, nowMicros: number): boolean {
    const house = this.house;
    house.entropy.fill(this.challenge);
    const isNewer = keyring.generation > (this.sendKeyring?.generation ?? 0) && (isUnheard || !this.confirmed);
    if (this.agreed && sameBytes(peerDraw, this.peerDraw) && !isNewer) return false;
    this.forget();
    this.peerDraw.set(peerDraw);
    this.agreed = true;
    this.installReceiving(0, keyring);
    this.installSending(0, keyring, nowMicros);
    return true;
  }

  /** No frame opens, none is sealed, until the next greeting is accepted. */
  forget(): void {
    for (let slot = this.base; slot < this.base + SLOTS_PER_UNIT; slot++) this.house.sealer.remove(slot);
    this.agreed = false;
    this.confirmed = false;
    this.sendSlot = NO_KEY;
    this.sendKeyring = null;
    this.offerKeyring = null;
    this.receiveNumbers.fill(NO_KEY);
    this.receiveKeyrings.fill(null);
    this.receiveNewest = 0;
    this.retireAtMicros = Number.POSITIVE_INFINITY;
  }

  /** Header's key byte → parity of the receiving key, or -1. */
  parityOf(keyByte: number): number {
    for (let parity = 0; parity < 2; parity = (parity + 1) | 0) {
      const number = this.receiveNumbers[parity] as number;
      if (number !== NO_KEY && (number & 0xff) === keyByte) return parity;
    }
    return NO_KEY;
  }

  receiveSlot(parity: number): number {
    return this.base + 2 + parity;
  }

  /** Is this path of the peer's one of its twin ports? */
  isPeerTwin(peerPath: number): boolean {
    return peerPath === PATH_TWIN || peerPath === this.peerSecond;
  }

  /** A heartbeat on the peer's second twin path: the port's address and MTU at `body`. */
  learnSecond(bytes: Uint8Array, view: DataView, body: number): void {
    for (let k = 0; k < 6; k = (k + 1) | 0) this.secondMac[k] = bytes[body + k] as number;
    this.secondMtuBytes = view.getUint16(body + 6);
  }

  /** Replay window of a receiving key and path. */
  window(parity: number, path: number): number {
    return (this.unit * 2 + parity) * PATHS + path;
  }

  /** A frame under this receiving key verified. */
  verified(parity: number, nowMicros: number): void {
    this.confirmed = true;
    const number = this.receiveNumbers[parity] as number;
    if (number <= this.receiveNewest) return;
    this.receiveNewest = number;
    this.retireAtMicros = nowMicros + KEY_RETIRE_MILLIS * 1000;
  }

  /** Draws the next counter of a path for a frame that is sealed now. */
  nextCounter(path: number): void {
    this.counters[path] = (this.counters[path] as number) + 1;
    this.sendFrames = (this.sendFrames + 1) | 0;
  }

  /** The key number to offer now, or -1: the sending key is fresh enough. `offerGeneration` says what it is derived from. */
  offer(nowMicros: number): number {
    const current = this.sendKeyring;
    if (current === null) return NO_KEY;
    const next = this.keys.rotating;
    const isNewer = next !== null && next.generation > current.generation;
    if (!isNewer && this.sendFrames < this.keyFrames && nowMicros - this.sendSinceMicros < this.keyMicros) return NO_KEY;
    this.offerKeyring = isNewer ? next : current;
    return this.sendNumber + 1;
  }

  get offerGeneration(): number {
    return this.offerKeyring?.generation ?? 0;
  }

  /** The peer offers receiving key `number`: installs it if it is the next one. True: answer that it is ready. */
  offered(number: number, generation: number): boolean {
    const parity = number & 1;
    const current = this.receiveKeyrings[this.receiveNewest & 1] as Keyring | null;
    const installed = this.receiveNumbers[parity] === number ? (this.receiveKeyrings[parity] as Keyring) : null;
    if (current === null || generation < current.generation) return false;
    if (installed !== null && generation <= installed.generation) return generation === installed.generation;
    if (number !== this.receiveNewest + 1 || (installed === null && this.receiveNumbers[parity] !== NO_KEY)) return false;
    const keyring = generation === current.generation ? current : this.keys.find(generation);
    if (keyring === null) return false;
    this.installReceiving(number, keyring);
    return true;
  }

  /** The peer has installed sending key `number`: seals under it from now on, if it is the one on offer. */
  ready(number: number, generation: number, nowMicros: number): void {
    const keyring = this.offerKeyring;
    if (keyring === null || number !== this.sendNumber + 1 || generation !== keyring.generation) return;
    const old = this.sendSlot;
    this.installSending(number, keyring, nowMicros);
    this.house.sealer.remove(old);
  }

  /** Now and then: removes the receiving key whose time is over. */
  tick(nowMicros: number): void {
    if (nowMicros < this.retireAtMicros) return;
    this.retireAtMicros = Number.POSITIVE_INFINITY;
    const parity = (this.receiveNewest + 1) & 1;
    this.receiveNumbers[parity] = NO_KEY;
    this.receiveKeyrings[parity] = null;
    this.house.sealer.remove(this.receiveSlot(parity));
  }

  private installSending(number: number, keyring: Keyring, nowMicros: number): void {
    const { sealer, unit, draw } = this.house;
    this.sendNumber = number;
    this.sendSlot = this.base + (number & 1);
    this.sendKeyring = keyring;
    this.offerKeyring = null;
    this.sendFrames = 0;
    this.sendSinceMicros = nowMicros;
    sealer.install(this.sendSlot, keyring.sealingKey(unit, this.unit, draw, this.peerDraw, number));
  }

  private installReceiving(number: number, keyring: Keyring): void {
    const { sealer, unit, draw, windows } = this.house;
    const parity = number & 1;
    this.receiveNumbers[parity] = number;
    this.receiveKeyrings[parity] = keyring;
    for (let path = 0; path < PATHS; path++) windows.reset(this.window(parity, path));
    sealer.install(this.receiveSlot(parity), keyring.sealingKey(this.unit, unit, this.peerDraw, draw, number));
  }
}

/** Compares draws; not secret, so not in constant time. */
export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  for (let k = 0; k < one.length; k++) if (one[k] !== other[k]) return false;
  return one.length === other.length;
}
