// Greetings: how two units that share a secret find each other's start and agree on keys. A HELLO is clear, but its
// HMAC covers header and body, both draws included.
//
//   A                                              B
//   HELLO draw a, challenge x ───────────────────►
//                             ◄─────────────────── HELLO draw b, for a, challenge y, answer x
//   accepts b: keys exist
//   HELLO draw a, for b, answer y ───────────────► accepts a: keys exist
//
// A greeting is accepted only if it names our draw and answers the challenge that is out now; each challenge is answered
// once. So one that was recorded, in this start or an earlier one, finds another challenge and changes nothing, least of all
// a live association. One that comes back to its sender is not addressed to it.
//
// The header's counter names the generation of the secret that a greeting is signed with. The lower unit accepts only greetings
// under its newest; the higher one answers under whatever the lower one last used: so both derive keys from the same secret.

import type { PacketMemory } from "../hal/contracts.ts";
import { SEAL_HEADER_BYTES } from "../hal/contracts.ts";
import { TWIN_MTU_BYTES } from "../limits.ts";
import { type Association, type Household, sameBytes } from "./association.ts";
import type { FieldList } from "./fields.ts";
import {
  F_BODY_BYTES,
  F_COUNTER_LOW,
  F_FROM,
  F_KIND,
  F_TO,
  F_VERSION,
  FRAME_VERSION,
  GROUP_MAC,
  H_AGREEMENT,
  H_ANSWER,
  H_CHALLENGE,
  H_DRAW,
  H_FIELD_LIST,
  H_FIELDS,
  H_FLAGS,
  H_INCARNATION,
  H_MAC,
  H_MTU,
  H_SEEN,
  H_YOUR_DRAW,
  HELLO_MAC_BYTES,
  HELLO_SECOND_SHIFT,
  HELLO_WANTS_ANSWER,
  KIND_HELLO,
} from "./frame.ts";
import { agreementBytes, DRAW_BYTES, type Keyring } from "./keys.ts";

/** What a greeting turned out to be. */
export const HELLO_FORGED = 0;
/** Authentic and of now, but the sender is configured differently. */
export const HELLO_DIFFERS = 1;
/** Authentic, and nothing changes. */
export const HELLO_KNOWN = 2;
/** A new association. */
export const HELLO_ACCEPTED = 3;
/** The same start of the peer, under a newer secret. */
export const HELLO_REKEYED = 4;

export interface GreeterOptions {
  readonly packets: PacketMemory;
  readonly house: Household;
  readonly fields: FieldList;
  readonly agreementHash: string;
  /** Burned-in address and MTU of the twin port. */
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  /** Path of the second twin port, 0 = there is none. */
  readonly second: number;
}

export class Greeter {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly house: Household;
  private readonly fields: FieldList;
  private readonly agreement: Uint8Array;
  private readonly mac: Uint8Array;
  private readonly mtuBytes: number;
  private readonly second: number;

  constructor(options: GreeterOptions) {
    this.bytes = options.packets.bytes;
    this.view = options.packets.view;
    this.house = options.house;
    this.fields = options.fields;
    this.agreement = agreementBytes(options.agreementHash);
    this.mac = options.mac;
    this.mtuBytes = options.mtuBytes;
    this.second = options.second;
  }

  /** Writes a greeting for the association's unit at `header` (twin header), signed with `keyring`; returns the bytes from there. */
  write(header: number, association: Association, keyring: Keyring, incarnation: number, seenIncarnation: number, wantsAnswer: boolean): number {
    const { bytes, view, house } = this;
    const body = header + SEAL_HEADER_BYTES;
    const count = this.fields.hashes.length;
    const end = body + H_FIELD_LIST + 4 * count;
    bytes.fill(0, header, end);
    bytes[header + F_VERSION] = FRAME_VERSION;
    bytes[header + F_KIND] = KIND_HELLO;
    bytes[header + F_FROM] = house.unit;
    bytes[header + F_TO] = association.unit;
    view.setUint16(header + F_BODY_BYTES, end - body + HELLO_MAC_BYTES);
    view.setUint32(header + F_COUNTER_LOW, keyring.generation);
    bytes.set(house.draw, body + H_DRAW);
    bytes.set(association.heardDraw, body + H_YOUR_DRAW);
    bytes.set(association.challenge, body + H_CHALLENGE);
    bytes.set(association.heardChallenge, body + H_ANSWER);
    bytes.set(this.agreement, body + H_AGREEMENT);
    view.setUint32(body + H_INCARNATION, incarnation);
    view.setUint32(body + H_SEEN, seenIncarnation);
    bytes.set(this.mac, body + H_MAC);
    view.setUint16(body + H_MTU, Math.min(this.mtuBytes, 0xffff));
    bytes[body + H_FLAGS] = (wantsAnswer ? HELLO_WANTS_ANSWER : 0) | (this.second << HELLO_SECOND_SHIFT);
    bytes[body + H_FIELDS] = count;
    for (let k = 0; k < count; k++) view.setInt32(body + H_FIELD_LIST + 4 * k, this.fields.hashes[k] as number);
    keyring.signGreeting(bytes, header, end);
    return end + HELLO_MAC_BYTES - header;
  }

  /** Judges a greeting of the association's unit to this one: `bodyBytes` behind the header at `header`, HMAC included. HELLO_*. */
  judge(header: number, bodyBytes: number, association: Association, nowMicros: number): number {
    const { bytes, view, house } = this;
    const body = header + SEAL_HEADER_BYTES;
    if (bodyBytes < H_FIELD_LIST + HELLO_MAC_BYTES) return HELLO_FORGED;
    const end = body + bodyBytes - HELLO_MAC_BYTES;
    const count = bytes[body + H_FIELDS] as number;
    const keyring = association.keys.find(view.getUint32(header + F_COUNTER_LOW));
    if (keyring === null || body + H_FIELD_LIST + 4 * count !== end || !keyring.greetingHolds(bytes, header, end)) return HELLO_FORGED;
    const draw = bytes.slice(body + H_DRAW, body + H_DRAW + DRAW_BYTES);
    association.keys.hear(keyring);
    association.heardDraw.set(draw);
    association.heardChallenge.set(bytes.subarray(body + H_CHALLENGE, body + H_CHALLENGE + DRAW_BYTES));
    if (!this.holds(body + H_YOUR_DRAW, house.draw)) return HELLO_KNOWN;
    if (!this.holds(body + H_AGREEMENT, this.agreement)) return HELLO_DIFFERS;
    if (keyring !== association.keys.greeting || !this.holds(body + H_ANSWER, association.challenge)) return HELLO_KNOWN;
    const isNew = !association.agreed || !sameBytes(draw, association.peerDraw);
    const isUnheard = ((bytes[body + H_FLAGS] as number) & HELLO_WANTS_ANSWER) !== 0;
    if (!association.accept(draw, keyring, isUnheard, nowMicros)) return HELLO_KNOWN;
    if (!isNew) return HELLO_REKEYED;
    association.mac.set(bytes.subarray(body + H_MAC, body + H_MAC + 6));
    association.peerMtuBytes = view.getUint16(body + H_MTU);
    association.peerSecond = (bytes[body + H_FLAGS] as number) >> HELLO_SECOND_SHIFT;
    association.secondMac.set(GROUP_MAC);
    association.secondMtuBytes = TWIN_MTU_BYTES;
    const theirs = Int32Array.from({ length: count }, (_, k) => view.getInt32(body + H_FIELD_LIST + 4 * k));
    association.commonWords = this.fields.commonWords(theirs, association.unit < house.unit);
    return HELLO_ACCEPTED;
  }

  private holds(at: number, expected: Uint8Array): boolean {
    return sameBytes(this.bytes.subarray(at, at + expected.length), expected);
  }
}
