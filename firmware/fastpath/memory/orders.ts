// What an operator can order a unit to do, and what it answers. Orders travel through the mailbox (commands.ts); their numbers
// are stable, as drop reasons are: new ones go to the end.

export const ORDER_NAMES = ["none", "switchover-unit", "switchover-site", "drain-unit", "drain-site", "resume-unit", "resume-site"] as const;
export type OrderName = (typeof ORDER_NAMES)[number];
export const ORDER_SWITCHOVER_UNIT = 1;
export const ORDER_SWITCHOVER_SITE = 2;
export const ORDER_DRAIN_UNIT = 3;
export const ORDER_DRAIN_SITE = 4;
export const ORDER_RESUME_UNIT = 5;
export const ORDER_RESUME_SITE = 6;

/** Code, and what it means for an operator: what was wrong, and what to do. `done` alone means that it is being done. */
const ANSWERS = [
  ["pending", "The dataplane has not answered, and may still do it: see in status whether it has."],
  ["done", "It is done."],
  ["not-active", "This unit is not its site's active one: give the order to that unit."],
  ["no-mate", "No mate stands by: there is nobody who could take over."],
  ["mate-behind", "The mate has not yet been given all sessions: wait until status says that it is synchronised, or --force."],
  ["mate-lags", "The mate's replicas lag: sessions would be lost. Wait until status says that they are replicated, or --force."],
  ["mate-drained", "The mate is drained: resume it first, or --force."],
  ["no-twin", "The other site's active unit is not reached: there is nobody who could take over."],
  ["twin-lags", "The other site's replicas lag: sessions would be lost. Wait until status says that they are replicated, or --force."],
  ["both-active", "Both sites are active in this deployment: drain a site instead."],
  ["site-passive", "This site stands by already."],
  ["site-active", "This site is not drained."],
  ["not-drained", "This unit is not drained."],
  ["no-peers", "This unit has no peers: there is nobody who could take over."],
  ["unknown-order", "This version of the dataplane does not know the order."],
  ["mate-ailing", "The mate is less healthy, so it would give way again at once: mend what status says that it has, or drain this unit instead."],
] as const;

export type AnswerName = (typeof ANSWERS)[number][0];
export const ANSWER_NAMES: readonly AnswerName[] = ANSWERS.map(([name]) => name);
export const ANSWER_SENTENCES: readonly string[] = ANSWERS.map(([, sentence]) => sentence);

function answer(name: AnswerName): number {
  return ANSWER_NAMES.indexOf(name);
}

export const ANSWER_DONE = answer("done");
export const ANSWER_NOT_ACTIVE = answer("not-active");
export const ANSWER_NO_MATE = answer("no-mate");
export const ANSWER_MATE_BEHIND = answer("mate-behind");
export const ANSWER_MATE_LAGS = answer("mate-lags");
export const ANSWER_MATE_DRAINED = answer("mate-drained");
export const ANSWER_NO_TWIN = answer("no-twin");
export const ANSWER_TWIN_LAGS = answer("twin-lags");
export const ANSWER_BOTH_ACTIVE = answer("both-active");
export const ANSWER_SITE_PASSIVE = answer("site-passive");
export const ANSWER_SITE_ACTIVE = answer("site-active");
export const ANSWER_NOT_DRAINED = answer("not-drained");
export const ANSWER_NO_PEERS = answer("no-peers");
export const ANSWER_UNKNOWN_ORDER = answer("unknown-order");
export const ANSWER_MATE_AILING = answer("mate-ailing");
