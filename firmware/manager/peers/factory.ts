// Pairs units before they have ever met, as whoever builds a set of appliances does, and the lab: identities are made, each unit
// trusts all others, and each pair gets a first secret, which the units replace as soon as they reach each other.

import { randomBytes } from "node:crypto";
import { PAIR_SECRET_BYTES, type PairSecret } from "../../pair-keys.ts";
import { openIdentity } from "./identity.ts";
import { openPairSecrets } from "./pair-secrets.ts";
import { openTrust } from "./trust.ts";

export interface FactoryUnit {
  readonly unit: number;
  readonly name: string;
  /** Its durable directory, 0700. */
  readonly data: string;
}

/** Pairs all units with each other. Identities that are there stay. */
export function pairAtFactory(units: readonly FactoryUnit[]): void {
  const members = units.map(({ unit, name, data }) => ({ unit, name, key: openIdentity(data).publicKey.toString("base64") }));
  const first = new Map<string, PairSecret>();
  for (const { unit, data } of units) {
    const trust = openTrust(data, unit, () => openIdentity(data).publicKey);
    for (const member of members) if (member.unit !== unit) trust.pair(member);
    const secrets = openPairSecrets(data, unit, trust.members, () => undefined);
    for (const member of trust.members) {
      const pair = [unit, member.unit].sort().join(" ");
      const secret = first.get(pair) ?? { generation: 1, secret: randomBytes(PAIR_SECRET_BYTES).toString("hex") };
      first.set(pair, secret);
      secrets.remove(member.unit);
      secrets.agree(member, secret);
    }
  }
}
