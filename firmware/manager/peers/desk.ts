// What a person asks of peers: a Unix socket `peers` in the unit's directory, 0600, that the console writes to. One line of JSON
// asks; lines of JSON come back: what to tell the person meanwhile, and the result last.
//
//   console ── { ask: "pair", peer: "B1", code } ──►  manager
//           ◄─ { say: "…" } … { done, sentence, … } ─
//
// A console that goes away calls its question off.

import { chmodSync, rmSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";

const LINE_MOST = 1_000;

export interface PeersQuestion {
  readonly ask: "peers" | "pair" | "unpair" | "renew";
  /** A unit's name. */
  readonly peer?: string;
  readonly code?: string;
}

export interface PeersAnswer {
  readonly done: boolean;
  /** For people; begins with a code when it is not done. */
  readonly sentence: string;
  readonly [key: string]: unknown;
}

export interface PeersDesk {
  close(): void;
}

/** Opens the socket; an older one in its place belongs to a manager that is gone. `obey` never rejects. */
export function openPeersDesk(
  path: string,
  obey: (question: PeersQuestion, say: (line: string) => void, signal: AbortSignal) => Promise<PeersAnswer>,
): PeersDesk {
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    let text = "";
    const left = new AbortController();
    const write = (value: object): void => void (socket.writable && socket.write(`${JSON.stringify(value)}\n`));
    socket.setEncoding("utf8");
    socket.on("error", () => socket.destroy());
    socket.on("close", () => left.abort());
    socket.on("data", (part: string) => {
      text += part;
      if (text.length > LINE_MOST) socket.destroy();
      if (!text.includes("\n")) return;
      const question = parsed(text);
      text = "";
      if (question === undefined) socket.destroy();
      else
        void obey(question, (say) => write({ say }), left.signal).then((answer) => {
          write(answer);
          socket.end();
        });
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

function parsed(text: string): PeersQuestion | undefined {
  try {
    const { ask, peer, code } = JSON.parse(text) as PeersQuestion;
    const isText = (value: unknown): boolean => value === undefined || typeof value === "string";
    return ["peers", "pair", "unpair", "renew"].includes(ask) && isText(peer) && isText(code)
      ? { ask, ...(peer && { peer }), ...(code && { code }) }
      : undefined;
  } catch {
    return undefined;
  }
}

/** Asks the manager at `path`; `onSay` gets what it says meanwhile. Rejects when it cannot be reached, or leaves. */
export function askPeersDesk(path: string, question: PeersQuestion, onSay: (line: string) => void): Promise<PeersAnswer> {
  return new Promise((resolve, reject) => {
    const socket: Socket = createConnection(path);
    let text = "";
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.write(`${JSON.stringify(question)}\n`));
    socket.on("data", (part: string) => {
      text += part;
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        const value = JSON.parse(line) as { readonly say?: string } & PeersAnswer;
        if (value.say === undefined) resolve(value);
        else onSay(value.say);
      }
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("it did not answer")));
  });
}
