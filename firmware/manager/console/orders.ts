// `switchover`, `drain`, `resume`: the only commands that change something. The manager carries them to the dataplane; what that
// answers is shown as a sentence, and the exit status says whether it is done.

import { ANSWER_NAMES, ANSWER_SENTENCES, type AnswerName, type OrderName } from "../../fastpath/memory/orders.ts";
import { giveOrder } from "../orders.ts";
import type { Request } from "./arguments.ts";
import type { Answer } from "./query.ts";

const DONE: Readonly<Record<string, string>> = {
  "switchover-unit": "hands over to its mate.",
  "switchover-site": "'s site hands over to the other site and stands by.",
  "drain-unit": "is drained: it stays back until it is resumed or restarted.",
  "drain-site": "'s site is drained: its sessions are the other site's, and it stands by until it is resumed.",
  "resume-unit": "is eligible again.",
  "resume-site": "'s site goes on.",
};

export interface OrderResult {
  readonly isDone: boolean;
  readonly answer: Answer;
}

/** Gives the order that the request spells. Never throws for what a person can mend. */
export async function order(request: Request, path: string): Promise<OrderResult> {
  const name = `${request.command}-${request.object}` as OrderName;
  try {
    return told(request, name, await giveOrder(path, name, request.force));
  } catch (error) {
    const sentence = `manager-absent: the manager of ${request.unit} is not reached (${(error as Error).message}); start it, then give the order again.`;
    return { isDone: false, answer: { json: { order: name, done: false, answer: "manager-absent", sentence }, lines: () => [sentence] } };
  }
}

function told(request: Request, name: OrderName, answer: AnswerName): OrderResult {
  const isDone = answer === "done";
  const words = DONE[name] ?? "";
  const sentence = isDone ? `${request.unit}${words.startsWith("'") ? "" : " "}${words}` : `${answer}: ${ANSWER_SENTENCES[ANSWER_NAMES.indexOf(answer)]}`;
  return { isDone, answer: { json: { order: name, done: isDone, answer, sentence }, lines: () => [sentence] } };
}
