// A seat at the configuration desk over the manager's orders socket: one line of JSON for each call and each answer. The connection is the
// seat: when it ends, whoever sat there has left.
//
//   console ── { configure: who, from where } ──► manager
//           ── { id, call, argument } ──────────►
//           ◄─ { id, result } or { id, error } ──

import { createConnection, type Socket } from "node:net";
import type { Editor, Seat } from "./desk.ts";

/** A configuration of 10,000 rules has 2 MiB. */
const LINE_MOST = 32 * 1_048_576;

const CALLS = ["situation", "commit", "confirm", "history", "revision", "abandon", "audit"] as const satisfies readonly (keyof Seat)[];
type Call = (typeof CALLS)[number];

interface Question {
  readonly id: number;
  readonly call: Call;
  readonly argument: unknown;
}

/** Calls `onLine` for each line that comes in; ends the connection when one is too long. */
function readLines(socket: Socket, begun: string, onLine: (line: string) => void): void {
  const parts: string[] = [];
  let length = 0;
  const take = (text: string): void => {
    const lines = text.split("\n");
    const rest = lines.pop() ?? "";
    for (const line of lines) {
      onLine(parts.splice(0).join("") + line);
      length = 0;
    }
    parts.push(rest);
    length += rest.length;
    if (length > LINE_MOST) socket.destroy(new Error("a line is too long"));
  };
  socket.on("data", take);
  take(begun);
}

/** Answers what comes over a connection from a seat. `begun`: what came behind the first line already. */
export function serveSeat(socket: Socket, begun: string, seat: Seat): void {
  socket.setTimeout(0);
  socket.on("close", () => seat.leave());
  const answer = async (line: string): Promise<void> => {
    const { id, call, argument } = JSON.parse(line) as Question;
    if (!CALLS.includes(call)) throw new Error(`there is no call ${call}`);
    // Each call takes one argument at the most; the desk judges what is in it.
    const result = await (seat[call] as (argument: unknown) => Promise<unknown>)(argument);
    if (!socket.destroyed) socket.write(`${JSON.stringify({ id, result })}\n`);
  };
  readLines(socket, begun, (line) => void answer(line).catch((error: Error) => socket.destroy(error)));
}

/** Sits down over the socket at `path`. Rejects when nobody is there. `onGone`: the manager has ended. */
export function connectSeat(path: string, editor: Editor, onGone: () => void): Promise<Seat> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
    let asked = 0;
    const call =
      (name: Call) =>
      (argument?: unknown): Promise<never> =>
        new Promise((answered, failed) => {
          asked++;
          waiting.set(asked, { resolve: answered as (result: unknown) => void, reject: failed });
          socket.write(`${JSON.stringify({ id: asked, call: name, argument })}\n`);
        });
    socket.setEncoding("utf8");
    socket.on("error", reject);
    socket.on("close", () => {
      for (const one of waiting.values()) one.reject(new Error("the manager has ended"));
      onGone();
    });
    socket.on("connect", () => {
      socket.write(`${JSON.stringify({ configure: editor })}\n`);
      const calls = Object.fromEntries(CALLS.map((name) => [name, call(name)])) as unknown as Omit<Seat, "leave">;
      resolve({ ...calls, leave: () => void socket.end() });
    });
    readLines(socket, "", (line) => {
      const { id, result } = JSON.parse(line) as { readonly id: number; readonly result: unknown };
      waiting.get(id)?.resolve(result);
      waiting.delete(id);
    });
  });
}
