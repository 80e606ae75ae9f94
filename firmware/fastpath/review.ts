// Sessions that a policy permitted meet the policy that followed it: those of this unit, a bounded number in each tick. What is still
// permitted carries the new revision and rule from then on; what is not is ended, and its tuple meets the policy. Afterwards a few rows are
// looked at in each tick for ever, because sessions are adopted from units that had not come to them yet.
//
//   rows   │ judged anew │ cursor → │ of an older revision …        2,048 rows, 256 decisions a tick; later 64 rows

import { REVIEW_DECISIONS, REVIEW_ROWS, REVIEW_ROWS_LATER } from "../limits.ts";
import type { Judge } from "./judge.ts";
import { ACTION_MASK, ACTION_PERMIT, type Policy, RULE_SHIFT } from "./policy.ts";
import type { Routes } from "./routes.ts";
import { KEY_STRIDE, ROW_WORDS, S_FLOW, S_KEY, S_OWNER, S_REVISION, S_RULE, S_STATE, type SessionTable, STATE_FREE, STATE_TOMBSTONE } from "./sessions.ts";
import { ICMP_QUERY } from "./track/icmp.ts";

const QUESTION_SHIFT = 16;

export class Review {
  private readonly sessions: SessionTable;
  private readonly policy: Policy;
  private readonly judge: Judge;
  private readonly routes: Routes;
  private isOn: boolean;
  private cursor = 0;
  /** Rows of the pass that have yet to be looked at. */
  private left = 0;

  constructor(sessions: SessionTable, policy: Policy, judge: Judge, routes: Routes, isOn: boolean) {
    this.sessions = sessions;
    this.policy = policy;
    this.judge = judge;
    this.routes = routes;
    this.isOn = isOn;
    this.left = sessions.capacity;
  }

  /** The policy is another one. `isOn` false: sessions live on as they are. */
  begin(isOn: boolean): void {
    this.isOn = isOn;
    this.left = this.sessions.capacity;
  }

  tick(): void {
    if (!this.isOn) return;
    const { sessions } = this;
    const i = sessions.i;
    const me = sessions.me;
    const revision = this.policy.revision;
    let decisions = REVIEW_DECISIONS;
    let budget = this.left > 0 ? REVIEW_ROWS : REVIEW_ROWS_LATER;
    for (; budget > 0 && decisions > 0; budget--) {
      const session = this.cursor;
      this.cursor = session + 1 === sessions.capacity ? 0 : session + 1;
      if (this.left > 0) this.left--;
      const row = session * ROW_WORDS;
      if (i[row + S_OWNER] !== me || (((i[row + S_REVISION] as number) - revision) | 0) >= 0) continue;
      const state = (i[row + S_STATE] as number) & 0xff;
      if (state === STATE_FREE || state === STATE_TOMBSTONE) continue;
      decisions--;
      this.decide(session, row, state, revision);
    }
  }

  private decide(session: number, row: number, state: number, revision: number): void {
    const i = this.sessions.i;
    const fromZone = ((i[row + S_FLOW] as number) >>> 8) & 0xff;
    const toZone = ((i[row + S_FLOW + KEY_STRIDE] as number) >>> 8) & 0xff;
    // Its destination lies in another zone now: its next packet opens another session, or does not.
    const route = this.routes.routed ? this.routes.find(i, row + S_KEY + 4) : -1;
    if (route >= 0 && this.routes.zone[route] !== toZone) {
      this.judge.end(session);
      return;
    }
    const question = state === ICMP_QUERY ? (i[row + S_STATE] as number) >>> QUESTION_SHIFT : 0;
    const decision = this.policy.decideTuple(i, row + S_KEY, fromZone, toZone, question);
    if ((decision & ACTION_MASK) !== ACTION_PERMIT) {
      this.judge.end(session);
      return;
    }
    i[row + S_REVISION] = revision;
    i[row + S_RULE] = decision >> RULE_SHIFT;
    this.sessions.changed(session);
  }
}
