// Orders by their socket, from the console to a manager and back.

import { mkdirSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { test } from "tap";
import type { AnswerName, OrderName } from "../../firmware/fastpath/memory/orders.ts";
import { runCommandLine } from "../../firmware/manager/console/cli.ts";
import { openOrderDesk } from "../../firmware/manager/orders.ts";
import { placesOf } from "../../firmware/manager/places.ts";
import { makeArea, temporaryDirectory, writeArea } from "../store/area.ts";

interface Holder {
  teardown(done: () => void): void;
}

/** A unit's directory and memory, and a manager that answers what the test says. */
async function unit(t: Holder, answers: (order: OrderName, isForced: boolean) => AnswerName) {
  const directory = join(temporaryDirectory(t, "orders"), "A1");
  mkdirSync(directory, { recursive: true });
  const places = placesOf("A1", directory, {});
  mkdirSync(dirname(places.memoryFile), { recursive: true });
  writeArea(makeArea(256), places.memoryFile);
  t.teardown(() => rmSync(places.memoryFile, { force: true }));
  const desk = openOrderDesk(places.ordersFile, {
    obey: async (order, isForced) => answers(order, isForced),
    sit() {
      throw new Error("nobody configures here");
    },
  });
  t.teardown(() => desk.close());
  await pause(20);
  const run = async (...words: string[]) => {
    const lines: string[] = [];
    const screen = { width: 100, colours: false };
    const complain = (line: string): void => void lines.push(line);
    const status = await runCommandLine([...words, "--unit", "A1", "--run-dir", directory], { environment: {}, screen, out: complain, complain });
    return { status, lines };
  };
  return { places, run, desk };
}

test("an order goes to the manager, and its answer comes back as a sentence", async (t) => {
  const heard: string[] = [];
  const { run, places } = await unit(t, (order, isForced) => {
    heard.push(`${order}${isForced ? " forced" : ""}`);
    return isForced ? "done" : "mate-lags";
  });
  t.equal(statSync(places.ordersFile).mode & 0o777, 0o600);
  const refused = await run("switchover", "unit");
  t.equal(refused.status, 1);
  t.match(refused.lines, ["mate-lags: The mate's replicas lag"]);
  t.same(await run("switchover", "unit", "--force"), { status: 0, lines: ["A1 hands over to its mate."] });
  t.same((await run("drain", "site", "--force")).lines, ["A1's site is drained: its sessions are the other site's, and it stands by until it is resumed."]);
  t.same(heard, ["switchover-unit", "switchover-unit forced", "drain-site forced"]);
});

test("an order says of what", async (t) => {
  const { run } = await unit(t, () => "done");
  for (const words of [["drain"], ["drain", "everything"]]) {
    const { status, lines } = await run(...words);
    t.equal(status, 2);
    t.match(lines, ["missing-object: Of what? drain unit, or drain site."]);
  }
});

test("without a manager there are no orders", async (t) => {
  const { run, desk } = await unit(t, () => "done");
  desk.close();
  const { status, lines } = await run("resume", "unit");
  t.equal(status, 1);
  t.match(lines, ["manager-absent: the manager of A1 is not reached"]);
});

test("what is no order is not answered", async (t) => {
  const heard: string[] = [];
  const { places } = await unit(t, (order) => {
    heard.push(order);
    return "done";
  });
  for (const text of ["{}\n", "nonsense\n", '{"order":"reboot"}\n', "x".repeat(2_000)]) {
    const socket = connect(places.ordersFile);
    socket.on("error", () => undefined);
    socket.write(text);
    await new Promise((done) => socket.on("close", done));
  }
  t.same(heard, []);
});
