// The terminal of the serial console over a line and commands that the test holds in its hands.

import fc from "fast-check";
import { test } from "tap";
import {
  CONSOLE_HISTORY,
  CONSOLE_IDLE_MILLIS,
  CONSOLE_LINE_MOST,
  CONSOLE_NOISE_MILLIS,
  CONSOLE_QUEUE,
  CONSOLE_TYPE_AHEAD,
  CONSOLE_WRONG_LINES,
} from "../../firmware/limits.ts";
import { type JobListener, Terminal } from "../../firmware/manager/console/terminal.ts";
import { DumbScreen } from "./screen.ts";

const GREETING = "hello\n";

interface FakeJob {
  readonly words: readonly string[];
  readonly listener: JobListener;
  paused: boolean;
  stopped: boolean;
}

/** A terminal that is up; the greeting is said unless `greeted` is false. */
async function setUp(greeted = true) {
  const jobs: FakeJob[] = [];
  const clock = { millis: 1_000 };
  const sent = { text: "", noise: 0 };
  const gate: { open: boolean; waiting: (() => void)[] } = { open: true, waiting: [] };
  const terminal = new Terminal({
    unit: "A1",
    async send(bytes) {
      if (!gate.open) await new Promise<void>((resolve) => gate.waiting.push(resolve));
      sent.text += Buffer.from(bytes).toString();
      return true;
    },
    run(words, _screen, listener) {
      const job: FakeJob = { words, listener, paused: false, stopped: false };
      jobs.push(job);
      const set = (change: Partial<FakeJob>) => (): void => void Object.assign(job, change);
      return { pause: set({ paused: true }), resume: set({ paused: false }), stop: set({ stopped: true }) };
    },
    nowMillis: () => clock.millis,
    onNoise: () => void sent.noise++,
  });
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 200; turn++) await Promise.resolve();
  };
  const type = async (text: string | Uint8Array): Promise<void> => {
    terminal.receive(typeof text === "string" ? Buffer.from(text, "latin1") : text);
    await settle();
  };
  const last = (): FakeJob => jobs.at(-1) as FakeJob;
  const finish = async (text = "", complaint = ""): Promise<void> => {
    if (text !== "") last().listener.onText(text);
    last().listener.onEnd(complaint);
    await settle();
  };
  terminal.up();
  if (greeted) await finish(GREETING);
  /** Commands that were run, the greeting apart. */
  const commands = (): string[] => jobs.slice(1).map((job) => job.words.join(" "));
  return { terminal, jobs, clock, sent, gate, type, finish, last, commands, settle };
}

test("a whole known line is executed, and nothing else", async (t) => {
  const { type, commands, sent, finish } = await setUp();
  await type("por");
  t.same(commands(), []);
  await type("ts --limit 3\r");
  t.same(commands(), ["ports --limit 3"]);
  await finish("a\nb\n");
  t.ok(sent.text.endsWith("A1> ports --limit 3\r\na\r\nb\r\nA1> "));
  await type("porst\r");
  t.match(sent.text, 'unknown-command: There is no command "porst".');
  await type("ports --where 'x\r");
  t.match(sent.text, "open-quote: a ' is not closed.");
  await type("ports --unit B1\r");
  t.match(sent.text, "wrong-option: This is the console of A1");
  await type("ports --run-dir /tmp\r");
  t.equal(commands().length, 1);
});

test("what a command complains about is shown with its code", async (t) => {
  const { type, finish, sent } = await setUp();
  await type("ports --where x\r");
  await finish("", "query: no such column: x\n");
  t.ok(sent.text.endsWith("query: no such column: x\r\nA1> "));
});

test("a line in which noise was heard is not executed", async (t) => {
  const { type, commands, sent } = await setUp();
  await type("ports\u00ff\r");
  t.same(commands(), []);
  t.match(sent.text, /line-noise: .* Type it again\.\r\nA1> $/);
  await type("ports\r");
  t.same(commands(), ["ports"], "the next line has nothing to do with it");
});

test("a line that is too long is refused, not cut", async (t) => {
  const { type, commands, sent } = await setUp();
  await type(`ports${" ".repeat(CONSOLE_LINE_MOST)}--limit 5\r`);
  t.same(commands(), []);
  t.match(sent.text, `line-too-long: a line has at most ${CONSOLE_LINE_MOST} characters`);
});

test("twenty wrong lines in a row are noise until the line was silent for a second", async (t) => {
  const { type, commands, sent, clock, terminal } = await setUp();
  for (let line = 0; line < CONSOLE_WRONG_LINES; line++) await type("login:\r");
  t.match(sent.text, /noise: 20 wrong lines in a row; nothing is heard until the line is silent for 1 s\.\r\n$/);
  t.equal(sent.noise, 1);
  const said = sent.text.length;
  for (let k = 0; k < 5; k++) {
    clock.millis += CONSOLE_NOISE_MILLIS - 1;
    await type("ports\r");
  }
  t.equal(sent.text.length, said, "two consoles that answer each other stop");
  t.same(commands(), []);
  t.equal(terminal.counts.noiseBytes, 5 * 6);
  clock.millis += CONSOLE_NOISE_MILLIS;
  await type("ports\r");
  t.same(commands(), ["ports"]);
});

test("what is typed while a command runs waits for its end, as far as there is room", async (t) => {
  const { type, commands, finish, terminal } = await setUp();
  await type("ports\r");
  await type("rules\rmembers\r");
  t.same(commands(), ["ports"]);
  await finish();
  t.same(commands(), ["ports", "rules"]);
  await type("x".repeat(CONSOLE_TYPE_AHEAD));
  t.equal(terminal.typed.ahead, CONSOLE_TYPE_AHEAD);
  t.equal(terminal.counts.keysDropped, "members\r".length);
});

test("Ctrl-C stops the command, and what was typed ahead goes with it", async (t) => {
  const { type, last, commands, sent } = await setUp();
  await type("sessions\r");
  last().listener.onText("one\n");
  await type("rules\r\u0003");
  t.ok(last().stopped);
  t.same(commands(), ["sessions"]);
  t.ok(sent.text.endsWith("^C\r\nA1> "));
});

test("a line that takes nothing holds the command back, and nothing piles up", async (t) => {
  const { type, last, gate, terminal, sent, settle } = await setUp();
  await type("sessions\r");
  gate.open = false;
  for (let k = 0; k < 40 && !last().paused; k++) last().listener.onText(`${"row ".repeat(60)}\n`);
  t.ok(last().paused);
  await type(new Uint8Array(100_000).fill(63));
  gate.open = true;
  for (const go of gate.waiting.splice(0)) go();
  await settle();
  t.notOk(last().paused, "it goes on when there is room");
  t.ok(sent.text.length < 4 * CONSOLE_QUEUE);
  t.ok(terminal.counts.keysDropped > 0);
});

test("a terminal that answers gets colours and screenfuls, another none", async (t) => {
  const { type, last, sent, finish } = await setUp();
  const lines = Array.from({ length: 30 }, (_, k) => `\u001b[1mline ${k}\u001b[0m\n`).join("");
  await type("rules\r");
  await finish(lines);
  t.match(sent.text, "line 29\r\nA1> ");
  t.notMatch(sent.text, /\u001b\[1m/);
  await type("\u001b[10;120Rrules\r");
  last().listener.onText(lines);
  await type("");
  t.ok(sent.text.endsWith("\u001b[1mline 8\u001b[0m\r\n-- more: space, enter, q --"));
  await type("\r");
  t.match(sent.text, /\u001b\[1mline 9\u001b\[0m\r\n-- more: space, enter, q --$/);
  await type(" ");
  t.match(sent.text, /line 18\u001b\[0m\r\n-- more: space, enter, q --$/);
  await type("q");
  t.ok(last().stopped);
  t.ok(sent.text.endsWith("^C\r\nA1> "));
});

test("whoever comes back after a long time is greeted anew, and so is the empty line's Ctrl-D", async (t) => {
  const { type, clock, commands, finish } = await setUp();
  await type("half a line");
  clock.millis += CONSOLE_IDLE_MILLIS + 1;
  await type("\r");
  t.same(commands(), ["banner"]);
  await finish();
  await type("\u0004");
  t.same(commands(), ["banner", "banner"]);
});

test("there is a new greeting when the dataplane is ready, unless somebody types already", async (t) => {
  const { terminal, finish, commands, type } = await setUp(false);
  terminal.refresh();
  await finish("not yet\n");
  t.same(commands(), ["banner"], "also when the first was still being said");
  await finish("now\n");
  await type("p");
  terminal.refresh();
  t.same(commands(), ["banner"]);
});

test("a line that was lost takes its command with it, and keeps the history", async (t) => {
  const { terminal, type, last, commands, finish } = await setUp();
  await type("ports\r");
  const lost = last();
  terminal.down();
  t.ok(lost.stopped);
  await type("rules\r");
  terminal.up();
  await finish();
  t.equal(terminal.typed.text, "");
  await type("\u001b[A\r");
  t.same(commands(), ["ports", "banner", "ports"]);
});

const KEYBOARD = fc.constantFrom(
  "a",
  "-",
  " ",
  "\t",
  "\r",
  "\n",
  "\u0003",
  "\u0015",
  "\u0017",
  "\u007f",
  "\u001b",
  "[",
  "A",
  "D",
  "\u001b[A",
  "\u001b[D",
  "\u001b[3~",
  "?",
  "'",
  "ru",
);
const STREAM = fc
  .array(
    fc.oneof(
      KEYBOARD,
      fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(""));

test("it does not matter how the line cuts what was typed", async (t) => {
  await fc.assert(
    fc.asyncProperty(STREAM, fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 10 }), async (stream, sizes) => {
      const whole = await setUp();
      const cut = await setUp();
      for (const character of stream) await whole.type(character);
      for (let at = 0, k = 0; at < stream.length; k++) {
        const size = sizes[k % sizes.length] as number;
        await cut.type(stream.slice(at, at + size));
        at += size;
      }
      t.same(cut.terminal.typed, whole.terminal.typed);
      t.same(cut.commands(), whole.commands());
      t.same(cut.terminal.counts, whole.terminal.counts);
      const screens = [cut, whole].map(({ sent }) => {
        const screen = new DumbScreen();
        screen.write(sent.text);
        return screen.last;
      });
      t.equal(screens[0], screens[1]);
    }),
    { seed: 1, numRuns: 200 },
  );
});

test("random bytes run no command, however many", async (t) => {
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1, maxLength: 400 }), { maxLength: 40 }), async (chunks) => {
        const { type, commands, terminal, clock } = await setUp();
        for (const chunk of chunks) {
          clock.millis += 400;
          await type(chunk);
        }
        // Ctrl-D on an empty line greets; nothing else may have happened.
        if (commands().some((command) => command !== "banner")) return false;
        return terminal.typed.text.length <= CONSOLE_LINE_MOST && terminal.typed.ahead <= CONSOLE_TYPE_AHEAD && terminal.history.length <= CONSOLE_HISTORY;
      }),
      { seed: 2, numRuns: 100 },
    ),
  );
});
