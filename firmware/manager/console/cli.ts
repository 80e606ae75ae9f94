// `twinwall`: a look at a running unit, as a process of its own. It maps the unit's memory read-only and asks it by SQL, so
// it costs the dataplane nothing and works while the manager is down.
//
//   arguments ─► names (plan) ─► live tables ─► command ─► lines for people, or one JSON value
//
// Exit status: 0 found, 1 the unit cannot be looked at, 2 the question is wrong.

import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { namesOfPlanFile } from "../../store/live/names.ts";
import { LiveError, openLive } from "../../store/live/open.ts";
import { STORE_FILE } from "../../store/schema.ts";
import { type Places, placesOf } from "../places.ts";
import { type CommandName, parseRequest, type Request, USAGE, UsageError } from "./arguments.ts";
import { banner, bannerWithout, identityOfPlanFile } from "./banner.ts";
import { configure, type Typed } from "./configure/shell.ts";
import { events, loggedEvents } from "./events.ts";
import { counters, members, neighbours, ports, rules } from "./lists.ts";
import { order } from "./orders.ts";
import { panel } from "./panel.ts";
import { askPeers } from "./peers.ts";
import type { Answer, Context } from "./query.ts";
import { sessions } from "./sessions.ts";
import { status } from "./status.ts";
import { SCREEN_COLOURS, SCREEN_COLUMNS, type Screen } from "./table.ts";

const ANSWERS: Readonly<
  Record<
    Exclude<CommandName, "banner" | "panel" | "switchover" | "drain" | "resume" | "configure" | "peers" | "pair" | "unpair">,
    (context: Context, places: Places) => Answer | Promise<Answer>
  >
> = {
  status,
  sessions,
  counters,
  events,
  ports,
  members,
  neighbours,
  rules,
};

/** What the process is given; a test gives its own. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly screen: Screen;
  out(line: string): void;
  complain(line: string): void;
  /** What is typed: at a terminal, or as lines. Absent: nobody types. */
  readonly typed?: Typed;
}

/** Units whose directories lie beside this one's. */
function unitsBeside(places: Places): string[] {
  try {
    const directory = dirname(places.directory);
    return readdirSync(directory)
      .filter((name) => existsSync(join(directory, name, basename(places.planFile))))
      .sort();
  } catch {
    return [];
  }
}

/** Why a unit has no memory, in words that lead on. */
function absence(request: Request, places: Places): string {
  if (existsSync(places.directory)) return `unit-not-running: ${request.unit} has run here, but does not now (${places.memoryFile} is missing).`;
  const known = unitsBeside(places);
  const units = known.length === 0 ? "No unit has run here" : `Units here: ${known.join(", ")}`;
  return `unknown-unit: there is no unit ${request.unit} (${places.directory} is missing). ${units}; --run-dir or TWINWALL_RUN looks elsewhere.`;
}

function tell(found: Answer, request: Request, surroundings: Surroundings): void {
  if (request.json) surroundings.out(JSON.stringify(found.json));
  else for (const line of found.lines(surroundings.screen)) surroundings.out(line);
}

/** The banner, whatever state the unit is in: who looks at a unit that does not run needs it most. */
async function greeting(places: Places, unit: string): Promise<Answer> {
  const identity = identityOfPlanFile(places.planFile, unit);
  if (!existsSync(places.memoryFile)) return bannerWithout(places, identity, "its dataplane has not started");
  try {
    const database = openLive(places.memoryFile, namesOfPlanFile(places.planFile));
    try {
      return await banner(database, places, identity);
    } finally {
      database.close();
    }
  } catch (error) {
    if (error instanceof LiveError) return bannerWithout(places, identity, error.message);
    throw error;
  }
}

async function answer(request: Request, surroundings: Surroundings): Promise<number> {
  const places = placesOf(request.unit, request.runDirectory, surroundings.environment);
  if (request.command === "configure") return configure(request.unit, places.ordersFile, surroundings, surroundings.typed ?? { lines: [] });
  const log = join(places.dataDirectory, STORE_FILE);
  if (request.command === "events" && request.all && existsSync(log)) {
    tell(loggedEvents(log, request), request, surroundings);
    return 0;
  }
  if (request.command === "banner") {
    tell(await greeting(places, request.unit), request, surroundings);
    return 0;
  }
  if (request.command === "peers" || request.command === "pair" || request.command === "unpair") {
    const result = await askPeers(request, places.peersFile, (line) => (request.json ? surroundings.complain(line) : surroundings.out(line)));
    tell(result.answer, request, surroundings);
    return result.isDone ? 0 : 1;
  }
  // The panel has something to say about a unit that has run, even where it does not run now.
  if (!existsSync(request.command === "panel" ? places.directory : places.memoryFile)) {
    surroundings.complain(absence(request, places));
    return 1;
  }
  if (request.command === "panel") {
    if (existsSync(places.memoryFile)) openLive(places.memoryFile).close(); // Throws when it is another version's.
    tell(panel(places, request.unit), request, surroundings);
    return 0;
  }
  if (request.command === "switchover" || request.command === "drain" || request.command === "resume") {
    const result = await order(request, places.ordersFile);
    tell(result.answer, request, surroundings);
    return result.isDone ? 0 : 1;
  }
  const names = namesOfPlanFile(places.planFile);
  const database = openLive(places.memoryFile, names);
  try {
    tell(await ANSWERS[request.command]({ database, names, request }, places), request, surroundings);
    return 0;
  } finally {
    database.close();
  }
}

/** Runs one command line. Returns the exit status; never throws for what a person did wrong. */
export async function runCommandLine(list: readonly string[], surroundings: Surroundings): Promise<number> {
  try {
    const request = parseRequest(list);
    if (request === undefined) {
      surroundings.out(USAGE);
      return 0;
    }
    return await answer(request, surroundings);
  } catch (error) {
    if (error instanceof UsageError) surroundings.complain(`${error.code}: ${error.message} (--help shows all)`);
    else if (error instanceof LiveError) surroundings.complain(error.message);
    else throw error;
    return error instanceof UsageError || error.code === "query" ? 2 : 1;
  }
}

/** A terminal as it is; one that another process shows our lines on (the serial console) says in the environment how it is. */
function screenOf(stdout: NodeJS.WriteStream, env: NodeJS.ProcessEnv): Screen {
  const columns = Number(env[SCREEN_COLUMNS]);
  if (columns > 0) return { width: columns, colours: env[SCREEN_COLOURS] === "1" };
  return { width: stdout.isTTY ? stdout.columns : Number.POSITIVE_INFINITY, colours: stdout.isTTY === true && env.NO_COLOR === undefined };
}

/** Opened when the first line is asked for: an interface loses what comes before somebody listens. */
async function* linesOf(input: NodeJS.ReadableStream): AsyncGenerator<string> {
  yield* createInterface({ input });
}

if (import.meta.main) {
  const { stdout, stderr, env, argv } = process;
  const screen = screenOf(stdout, env);
  // A reader that closes early (`| head`) is no error.
  stdout.on("error", () => process.exit(0));
  process.exitCode = await runCommandLine(argv.slice(2), {
    environment: env,
    screen,
    out: (line) => stdout.write(`${line}\n`),
    complain: (line) => stderr.write(`twinwall: ${line}\n`),
    typed: process.stdin.isTTY ? { terminal: process.stdin } : { lines: linesOf(process.stdin) },
  });
}
