// Orders from operators: a Unix socket in the unit's directory, 0600, that the console writes to. One line of JSON each way.
//
//   console ── { order, force } ──► manager ── mailbox ──► dataplane
//           ◄─ { answer } ─────────         ◄─ answer ────
//
// The manager alone writes to the mailbox, so it is asked; without it there are no orders, and traffic goes on. Whoever says { configure }
// instead sits at the configuration desk from then on (revisions/seat-wire.ts).

import { chmodSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { ANSWER_NAMES, type AnswerName, ORDER_NAMES, type OrderName } from "../fastpath/memory/orders.ts";
import type { Editor, Seat } from "./revisions/desk.ts";
import { serveSeat } from "./revisions/seat-wire.ts";

const LINE_MOST = 1_000;
const PATIENCE_MILLIS = 3_000;
const NAME_MOST = 60;

export interface OrderDesk {
  close(): void;
}

export interface Clerks {
  /** Never rejects. */
  obey(order: OrderName, isForced: boolean): Promise<AnswerName>;
  sit(editor: Editor): Seat;
}

/** Opens the socket; an older one in its place belongs to a manager that is gone. */
export function openOrderDesk(path: string, { obey, sit }: Clerks): OrderDesk {
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    let text = "";
    socket.setEncoding("utf8");
    socket.setTimeout(PATIENCE_MILLIS, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("data", function first(part: string) {
      text += part;
      if (text.length > LINE_MOST) socket.destroy();
      const end = text.indexOf("\n");
      if (end < 0) return;
      const wanted = parsed(text.slice(0, end));
      const behind = text.slice(end + 1);
      text = "";
      if (wanted === undefined) socket.destroy();
      else if ("who" in wanted) {
        socket.off("data", first);
        serveSeat(socket, behind, sit(wanted));
      } else void obey(wanted.order, wanted.force).then((answer) => socket.end(`${JSON.stringify({ answer })}\n`));
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

function parsed(text: string): { readonly order: OrderName; readonly force: boolean } | Editor | undefined {
  try {
    const { order, force, configure } = JSON.parse(text) as { order?: unknown; force?: unknown; configure?: Partial<Editor> };
    if (configure !== undefined) return { who: String(configure.who).slice(0, NAME_MOST), origin: String(configure.origin).slice(0, NAME_MOST) };
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
