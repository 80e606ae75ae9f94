// Deliberate bugs in the twin. Each must be found by the simulator, within minutes, by stories that it draws itself. `find` must
// occur exactly once in its file, as in mutations.ts; `kinds` are the faults that make the bug matter, to find it sooner.

import type { Mutation } from "./mutations.ts";

export interface TwinMutation extends Mutation {
  /** Arguments of `npm run sim` besides seeds. */
  readonly stories: readonly string[];
}

const T = "firmware/twin/";
const NOISE = "twin-noise,reopen,twin-delay,twin-one-way";

function bug(rule: string, file: string, find: string, replace: string, kinds: string, units = "4"): TwinMutation {
  return { rule, ids: ["W5"], file, find, replace, stories: ["--units", units, ...(kinds === "" ? [] : ["--kinds", kinds])] };
}

export const TWIN_MUTATIONS: readonly TwinMutation[] = [
  bug(
    "a record with an older epoch or version changes nothing",
    `${T}replicas.ts`,
    "if (order < 0 || (order === 0 && ownerUnit(owner) > ownerUnit(mine))) {",
    "if (order < 0 && owner === -1) {",
    NOISE,
  ),
  bug(
    "what is acknowledged has been applied",
    `${T}replicas.ts`,
    "    const row = sessions.take();\n    if (row < 0) return NO_ROOM;\n    const at = row * ROW_WORDS;\n    this.write(at, d, this.allWords);\n    sessions.i[at + S_STATE] = (d",
    "    const row = sessions.take();\n    if (row < 0) return ACKNOWLEDGE;\n    const at = row * ROW_WORDS;\n    this.write(at, d, this.allWords);\n    sessions.i[at + S_STATE] = (d",
    "flood",
    "2",
  ),
  bug(
    "an acknowledgement of an earlier state says nothing about the present one",
    `${T}replicate.ts`,
    "if (!pending.unacked.has(row) || this.journal.stamps[row] !== view.getInt32(at + 4)) continue;",
    "if (!pending.unacked.has(row)) continue;",
    NOISE,
  ),
  bug(
    "every peer is told of a session's end",
    `${T}replicate.ts`,
    "if (pending.flightFull) return false;",
    "if (pending.flightFull) return false;\n    if (kind === STATE_TOMBSTONE) {\n      pending.drop(row);\n      return true;\n    }",
    "twin-noise,reopen",
  ),
  bug(
    "at a sweep's end the receiver deletes what the owner does not have",
    `${T}sweep.ts`,
    "this.replicas.dropReplica(row, peer.deletingNumber, peer.deletingStamp);",
    "",
    "all-cut,twin-cut,site-twin-cut,stall",
  ),
  bug(
    "who was succeeded goes on in the next incarnation",
    `${T}roles.ts`,
    "owners.setIncarnation(Math.max(owners.incarnation, owners.seen(dead)) + 1);",
    "",
    "stall,all-cut,crash-keep",
  ),
  bug(
    "what an owner knew of a session that somebody adopted meanwhile is sent there",
    `${T}replicas.ts`,
    "if (!differs(i, at, d.i) || !this.yields.remember(row, i[at + S_STATE] as number)) return;",
    "if (at >= 0) return;",
    "twin-cut,data-cut",
    "2",
  ),
  bug("a frame that was opened once is not opened again", `${T}replay.ts`, "if (!this.isNew(window, high, low)) return false;", "", "replay,twin-noise"),
  bug(
    "what a successor never had is offered to it",
    `${T}estates.ts`,
    "if (heir === 0) return;",
    "if (heir !== -1) return;",
    "twin-cut,crash-lose,incarnation-lost",
  ),
  bug("a newborn unit takes an incarnation that nobody has seen", `${T}roles.ts`, "    owners.setIncarnation(seen + 1);\n", "", "incarnation-lost"),
  bug(
    "a site that stands by owns nothing while the other one is there",
    `${T}roles.ts`,
    "    this.giveUp(nowMicros);\n",
    "",
    "late-order,switch-site,twin-cut",
  ),
  bug(
    "a counter is drawn for each frame that is sealed",
    `${T}association.ts`,
    "this.counters[path] = (this.counters[path] as number) + 1;",
    "this.counters[path] = (this.counters[path] as number) + (this.sendFrames % 4_096 === 4_095 ? 0 : 1);",
    "twin-noise",
  ),
];
