// Keys, the line and its drawing: the parts of the serial console that meet every byte that comes.

import fc from "fast-check";
import { test } from "tap";
import { CONSOLE_HISTORY, CONSOLE_LINE_MOST } from "../../firmware/limits.ts";
import { complete, helpAt, wordsOf } from "../../firmware/manager/console/completion.ts";
import { Drawing } from "../../firmware/manager/console/drawing.ts";
import { KEY_DELETE, KEY_END, KEY_ENTER, KEY_HOME, KEY_INTERRUPT, KEY_NONE, KEY_PREVIOUS, KEY_SIZE, KeyDecoder } from "../../firmware/manager/console/keys.ts";
import { History, Line } from "../../firmware/manager/console/line.ts";
import { cleaned } from "../../firmware/manager/console/pager.ts";
import { DumbScreen } from "./screen.ts";

function keysOf(text: string): number[] {
  const decoder = new KeyDecoder();
  return [...Buffer.from(text, "latin1")].map((byte) => decoder.next(byte)).filter((key) => key !== KEY_NONE);
}

/** A line after some keys, in which `|` is the cursor. */
function edited(keys: string, history = new History()): string {
  const line = new Line(history);
  for (const key of keysOf(keys))
    if (key >= 32 && key < 127) line.insert(String.fromCharCode(key));
    else line.edit(key);
  return `${line.text.slice(0, line.cursor)}|${line.text.slice(line.cursor)}`;
}

test("each terminal's way to say Home, End, Delete and Return is understood", (t) => {
  for (const home of ["\u001b[H", "\u001b[1~", "\u001b[7~", "\u001bOH", "\u0001"]) t.same(keysOf(home), [KEY_HOME]);
  for (const end of ["\u001b[F", "\u001b[4~", "\u001b[8~", "\u001bOF", "\u0005"]) t.same(keysOf(end), [KEY_END]);
  t.same(keysOf("\u001b[3~"), [KEY_DELETE]);
  t.same(keysOf("\u001b[1;5A"), [KEY_PREVIOUS], "with Ctrl held");
  for (const enter of ["\r", "\n", "\r\n", "\r\u0000"]) t.same(keysOf(enter), [KEY_ENTER]);
  t.same(keysOf("\r\r\n\n"), [KEY_ENTER, KEY_ENTER, KEY_ENTER]);
  t.same(keysOf("\u001b[24;80R"), [KEY_SIZE]);
  t.same(keysOf("\u001b[15~\u001bx\u0011\u0013"), [], "function keys, Alt and flow control mean nothing here");
  t.end();
});

test("Ctrl-C is heard whatever came before it", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const decoder = new KeyDecoder();
      for (const byte of bytes) decoder.next(byte);
      return decoder.next(3) === KEY_INTERRUPT;
    }),
    { seed: 3 },
  );
  t.end();
});

test("the line is edited as on every shell", (t) => {
  t.equal(edited("sesions\u001b[D\u001b[D\u001b[D\u001b[Ds"), "sess|ions");
  t.equal(edited("ports --al\u0015"), "|");
  t.equal(edited("ports  --all\u0017"), "ports  |");
  t.equal(edited("ports  \u0017"), "|");
  t.equal(edited("abc\u0008\u007f"), "a|");
  t.equal(edited("abc\u0001\u001b[3~"), "|bc");
  t.equal(edited("abc\u0001\u001b[C\u000b"), "a|");
  t.end();
});

test("history gives back what was entered, and the line that was begun", (t) => {
  const history = new History();
  for (const line of ["one", "two", "two", ""]) history.keep(line);
  t.equal(edited("thr\u001b[A", history), "two|");
  t.equal(edited("thr\u001b[A\u001b[A\u001b[A", history), "one|");
  t.equal(edited("thr\u001b[A\u001b[A\u001b[B\u001b[B", history), "thr|");
  for (let k = 0; k < 2 * CONSOLE_HISTORY; k++) history.keep(`line ${k}`);
  t.equal(history.length, CONSOLE_HISTORY);
  t.end();
});

test("no keys bring the line out of its bounds", (t) => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.integer({ min: -3, max: 127 }), fc.constant("x".repeat(100))), { maxLength: 200 }), (keys) => {
      const line = new Line(new History());
      for (const key of keys) {
        if (typeof key === "string") line.insert(key);
        else line.edit(key);
        if (line.cursor < 0 || line.cursor > line.text.length || line.text.length > CONSOLE_LINE_MOST) return false;
      }
      return true;
    }),
    { seed: 4 },
  );
  t.end();
});

test("the dumbest terminal shows the line and its cursor, and nothing ever reaches its last column", (t) => {
  const step = fc.record({ text: fc.string({ unit: fc.constantFrom(..."ab c-"), maxLength: 120 }), at: fc.double({ min: 0, max: 1, noNaN: true }) });
  fc.assert(
    fc.property(fc.integer({ min: 40, max: 100 }), fc.array(step, { maxLength: 30 }), (columns, steps) => {
      const drawing = new Drawing();
      const screen = new DumbScreen();
      for (const { text, at } of steps) {
        const cursor = Math.round(at * text.length);
        screen.write(drawing.draw("A1> ", text, cursor, columns));
        const before = screen.lines[0]?.slice(4, screen.column) ?? "";
        const seen = before.replace(/^</, "");
        if (!text.slice(0, cursor).endsWith(seen)) return false;
        if (text.length < columns - 10 && screen.last !== `A1> ${text}`.trimEnd()) return false;
      }
      return screen.widest < columns - 1;
    }),
    { seed: 5 },
  );
  t.end();
});

test("what is drawn is only what changed", (t) => {
  const drawing = new Drawing();
  t.equal(drawing.draw("A1> ", "por", 3, 80), "A1> por");
  t.equal(drawing.draw("A1> ", "port", 4, 80), "t");
  t.equal(drawing.draw("A1> ", "por", 3, 80), "\b \b");
  t.equal(drawing.draw("A1> ", "por", 0, 80), "\b\b\b");
  t.end();
});

test("Tab completes commands and options from their one declaration", (t) => {
  t.same(complete("sess"), { insert: "ions ", candidates: [] });
  t.same(complete("s"), { insert: "", candidates: ["status", "sessions", "switchover"] });
  t.same(complete("switchover u"), { insert: "nit ", candidates: [] });
  t.same(complete("ne"), { insert: "ighbours ", candidates: [] });
  t.same(complete("help se"), { insert: "ssions ", candidates: [] });
  t.same(complete("sessions --wh"), { insert: "ere ", candidates: [] });
  t.same(complete("sessions --limit 5 --l").candidates, [], "no option twice");
  t.same(complete("sessions --run"), { insert: "", candidates: [] }, "no other unit from this console");
  t.same(complete("sessions --where 'a"), { insert: "", candidates: [] });
  t.same(complete("nonsense --"), { insert: "", candidates: [] });
  t.end();
});

test("a question mark helps with the place where it is asked", (t) => {
  t.equal(helpAt("").length, helpAt("help ").length + 1);
  t.same(helpAt("por"), ["  ports       network ports and their counters"]);
  t.match(helpAt("sessions --limit "), ["  --limit N: at most N rows"]);
  t.match(helpAt("sessions --o")[0], /^ {2}--order SQL /);
  t.same(helpAt("nonsense "), ["  Nothing more is known to come here."]);
  t.end();
});

test("words are split at spaces, and quotes hold them together", (t) => {
  t.same(wordsOf(`sessions --where "owner = 'A1'"  --all`).words, ["sessions", "--where", "owner = 'A1'", "--all"]);
  t.same(wordsOf("a ''").words, ["a", ""]);
  t.equal(wordsOf('a "b').open, '"');
  t.end();
});

test("nothing that a command says can act on the terminal, colours apart", (t) => {
  t.equal(cleaned("\u001b[2J\u001b[31mred\u001b[0m\u0007\u009b2J", true), "?[2J\u001b[31mred\u001b[0m??2J");
  t.equal(cleaned("\u001b[31ma → b…\u001b[0m ü", false), "a > b~ ?");
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }),
      fc.boolean(),
      (text, answers) => !/[\u0000-\u001f\u007f-\u009f]/.test(cleaned(text, answers).replace(/\u001b\[[0-9;]*m/g, "")),
    ),
    { seed: 6 },
  );
  t.end();
});
