// The secrets of a world whose units have been paired all along: the same one for each pair, which tests can say aloud. Derived
// keys differ all the same, because both units' numbers are in them.

import { UNIT_NAMES } from "../firmware/limits.ts";
import { fingerprintOfMember, type Member } from "../firmware/manager/peers/trust.ts";
import type { PairKeys } from "../firmware/pair-keys.ts";
import type { PlannedPeer } from "../firmware/plan.ts";

export const SECRET = "5e".repeat(32);

/** A unit as its peers trust it; nobody checks its key in such a world. */
export function memberOf(unit: number): Member {
  return { unit, name: UNIT_NAMES[unit] ?? `unit ${unit}`, key: Buffer.alloc(32, unit).toString("base64") };
}

/** What a unit with these peers shares with each of them. */
export function pairKeysFor(peers: readonly Pick<PlannedPeer, "unit">[], secret: string = SECRET): readonly PairKeys[] {
  return peers.map(({ unit }) => ({ unit, identity: fingerprintOfMember(memberOf(unit)), secrets: [{ generation: 1, secret }] }));
}
