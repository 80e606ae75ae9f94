// `peers`, `pair`, `unpair`: what the manager knows of its peers, and how a person changes whom it trusts. The manager does it; here it
// is asked and shown.

import { askPeersDesk, type PeersAnswer, type PeersQuestion } from "../peers/desk.ts";
import type { Request } from "./arguments.ts";
import type { OrderResult } from "./orders.ts";
import { type Screen, type TableColumn, tableLines } from "./table.ts";

/** The word for the unit that is asked. */
const SELF = "self";
const COLUMNS: readonly TableColumn[] = ["peer", "state", "fingerprint"].map((title) => ({ title: [title], align: "left" }));

/** Asks what the request spells; `say`: what a person has to know meanwhile. Never throws for what a person can mend. */
export async function askPeers(request: Request, path: string, say: (line: string) => void): Promise<OrderResult> {
  try {
    const found = await askPeersDesk(path, questionOf(request), say);
    return { isDone: found.done, answer: { json: found, lines: (screen) => linesOf(found, screen) } };
  } catch (error) {
    const sentence = `manager-absent: the manager of ${request.unit} is not reached (${(error as Error).message}); it needs to run, with a twin.`;
    return { isDone: false, answer: { json: { done: false, sentence }, lines: () => [sentence] } };
  }
}

function questionOf({ command, peer, code }: Request): PeersQuestion {
  if (command === "peers") return { ask: "peers" };
  if (command === "unpair") return peer === SELF ? { ask: "renew" } : { ask: "unpair", ...(peer !== undefined && { peer }) };
  return { ask: "pair", ...(peer !== undefined && { peer }), ...(code !== undefined && { code }) };
}

interface PeerRow {
  readonly unit: string;
  readonly paired: boolean;
  readonly connected: boolean;
  /** The unit that is too old for the other; "": neither. */
  readonly upgrade: string;
  readonly fingerprint: string;
}

function linesOf(found: PeersAnswer, screen: Screen): string[] {
  const { peers, refused } = found as PeersAnswer & { readonly peers?: readonly PeerRow[]; readonly refused?: Readonly<Record<string, number>> };
  if (peers === undefined) return [found.sentence];
  const rows = peers.map((row) => [[row.unit], [stateOf(row)], [row.fingerprint]]);
  const refusals = Object.entries(refused ?? {}).map(([reason, times]) => `refused ${reason}: ${times}`);
  return [found.sentence, ...tableLines(COLUMNS, rows, screen), ...refusals];
}

function stateOf({ paired, connected, upgrade }: PeerRow): string {
  if (!paired) return "not paired";
  if (upgrade !== "") return `paired, refused: upgrade ${upgrade}`;
  return connected ? "connected" : "paired, not reached";
}
