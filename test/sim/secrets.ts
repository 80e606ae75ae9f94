// Two units' managers agree on a new secret, message by message, as their control channel carries it (firmware/manager/peers/channels.ts): each
// step is written durably and told to the dataplane before the next message leaves. A cut cable or a unit without power ends the exchange
// wherever it is; what both have written until then is what they go on with.
//
//   leader                                 follower
//   rekey g, I use u ────────────────────► drops what is older than u, has [u, g]
//   has [u, g] ◄─────────────────────────── has it
//   done ────────────────────────────────► has [g]

import { createHash } from "node:crypto";
import type { Random } from "../../firmware/hal/sim/random.ts";
import { memberOf } from "../pair-keys.ts";
import { isWhole, type SimUnit } from "./unit.ts";
import type { World } from "./world.ts";

/** What a message takes, and the managers with it. */
const MESSAGE_MILLIS_MOST = 30;

/** The managers of two units can talk to each other. */
function canTalk(one: SimUnit, other: SimUnit): boolean {
  return [one, other].every((unit) => isWhole(unit) && unit.hasPower);
}

export class SecretExchanges {
  private readonly world: World;
  /** Ends of exchanges so far, by pair: a new one begins only when none is under way. */
  private readonly underWay = new Set<string>();
  /** Secrets that both sides came to use. */
  completed = 0;

  constructor(world: World) {
    this.world = world;
  }

  /** Begins `rounds` agreements one after another. Nothing happens when they cannot talk, or talk about it already. */
  begin(one: SimUnit, other: SimUnit, rounds: number, draw: Random): void {
    const [leader, follower] = one.plan.unit < other.plan.unit ? [one, other] : [other, one];
    const pair = `${leader.name} ${follower.name}`;
    if (this.underWay.has(pair) || !canTalk(leader, follower)) return;
    this.underWay.add(pair);
    const toFollower = memberOf(follower.plan.unit);
    const toLeader = memberOf(leader.plan.unit);
    const generation = Math.max(leader.secrets.newest(toFollower.unit), follower.secrets.newest(toLeader.unit)) + 1;
    const used = leader.secrets.newest(toFollower.unit);
    const secret = { generation, secret: createHash("sha256").update(`${pair} ${generation} ${draw.word()}`).digest("hex") };
    this.world.note(`the managers of ${pair} agree on secret ${generation}`);
    const steps = [
      () => {
        follower.secrets.confirm(toLeader, used);
        follower.secrets.propose(toLeader, secret);
      },
      () => leader.secrets.agree(toFollower, secret),
      () => {
        follower.secrets.confirm(toLeader, generation);
        this.completed++;
      },
    ];
    const go = (k: number): void => {
      this.world.schedule.after(draw.between(500, MESSAGE_MILLIS_MOST * 1_000), () => {
        const step = canTalk(leader, follower) ? steps[k] : undefined;
        step?.();
        if (step !== undefined && k + 1 < steps.length) {
          go(k + 1);
          return;
        }
        this.underWay.delete(pair);
        if (step !== undefined && rounds > 1) this.begin(one, other, rounds - 1, draw);
      });
    };
    go(0);
  }
}
