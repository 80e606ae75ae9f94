// Orders from operators: a Unix socket in the unit's directory, 0600, that the console writes to. One line of JSON each way.
//
//   console ── { order, force } ──► manager ── mailbox ──► dataplane
//           ◄─ { answer } ─────────         ◄─ answer ────
//
// The manager alone writes to the mailbox, so it is asked; without it there are no orders, and traffic goes on.

import { chmodSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { ANSWER_NAMES, type AnswerName, ORDER_NAMES, type OrderName } from "../fastpath/memory/orders.ts";

const LINE_MOST = 1_000;
const PATIENCE_MILLIS = 3_000;

export interface OrderDesk {
  close(): void;
}

/** Opens the socket; an older one in its place belongs to a manager that is gone. `obey` never rejects. */
export function openOrderDesk(path: string, obey: (order: OrderName, isForced: boolean) => Promise<AnswerName>): OrderDesk {
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    let text = "";
    socket.setEncoding("utf8");
    socket.setTimeout(PATIENCE_MILLIS, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("data", (part: string) => {
      text += part;
      if (text.length > LINE_MOST) socket.destroy();
      if (!text.includes("\n")) return;
      const wanted = parsed(text);
      text = "";
      if (wanted === undefined) socket.destroy();
      else void obey(wanted.order, wanted.force).then((answer) => socket.end(`${JSON.stringify({ answer })}\n`));
    });
  });
  server.on("error", () => undefined);
  server.listen(path, () => chmodSync(path, 0o600));
  return {
    close() {
      server.close();
      rmSync(path, { force: true });
    },
  };
}

function parsed(text: string): { readonly order: OrderName; readonly force: boolean } | undefined {
  try {
    const { order, force } = JSON.parse(text) as { order?: unknown; force?: unknown };
    const name = ORDER_NAMES.find((candidate) => candidate === order);
    return name === undefined ? undefined : { order: name, force: force === true };
  } catch {
    return undefined;
  }
}

/** Gives an order to the manager at `path`. Rejects when it cannot be reached or says nothing. */
export function giveOrder(path: string, order: OrderName, isForced: boolean): Promise<AnswerName> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    let text = "";
    socket.setEncoding("utf8");
    socket.setTimeout(PATIENCE_MILLIS, () => socket.destroy(new Error("it does not answer")));
    socket.on("connect", () => socket.write(`${JSON.stringify({ order, force: isForced })}\n`));
    socket.on("data", (part: string) => {
      text += part;
    });
    socket.on("error", reject);
    socket.on("close", () => {
      const answer = ANSWER_NAMES.find((name) => text.includes(`"${name}"`));
      if (answer === undefined) reject(new Error("it did not answer"));
      else resolve(answer);
    });
  });
}
