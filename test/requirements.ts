// What the firewall must do, as ids and sentences, and which test shows it. A test shows the ids that its name begins with:
//
//   test("T2, F3: a reset …")      test("V2–V4: …")      test F7: …      (the last in test/scripts/*.packets)
//
//   npm run requirements              each id with its tests; fails when an id of an issue that is done has none
//   npm run requirements -- --json    the same as JSON

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
/** The last issue whose requirements must all have a test. */
const ISSUE = 3;

export interface Requirement {
  readonly id: string;
  readonly sentence: string;
  /** The issue that must fulfil it. */
  readonly issue: number;
}

const LATER = 9;

/** REQUIREMENTS.md, and DESIGN.md §8 for W. */
export const REQUIREMENTS: readonly Requirement[] = [
  ["F1", "While booting nothing passes, permitted or not. Rules hold under saturation and when a component fails.", 3],
  ["F2", "Rules on ICMP type and code, addresses, protocol, ports, per zone; permit or drop, each with optional log.", 3],
  ["F3", "A packet that does not fit its session (flags, addresses, ports, sequence number) faces the rules instead.", 3],
  ["F4", "A matching packet within one second of TCP termination, or after expiry, faces the rules.", 3],
  ["F5", "Even under allow all: invalid fragments, impossible addresses, source routes and Record Route drop and count.", 3],
  ["F6", "Configurable: own address as source; link-local; a source that does not belong to the receiving interface.", 3],
  ["F7", "First match wins: equal rules, subset and superset, in both orders.", 3],
  ["F8", "No match means deny.", 3],
  ["F9", "A half-open limit per destination; past it no further SYN reaches the target; counted and logged.", 3],
  ["F10", "No byte of an earlier packet shows in padding.", 3],
  ["F11", "A negotiated data port opens, and closes with its control session.", LATER],
  ["T1", "A segment's sequence and acknowledgement numbers lie inside the windows, scaled by the handshake's scale.", 3],
  ["T2", "RST at exactly RCV.NXT closes; out of window it drops; in window but inexact it does not close.", 3],
  ["T3", "Challenge ACKs pass. SYN in an established session does not reset it.", 3],
  ["T4", "Windows are not enforced where the handshake's scale was not seen, until learnt.", 3],
  ["T5", "Simultaneous open works. TCP Fast Open data in SYN works.", 3],
  ["T6", "Idle: established at least 2 h 4 min, transitory at least 4 min, configurable.", 3],
  ["T7", "Bad TCP, UDP and ICMP checksums are dropped and counted (configurable).", 3],
  ["N1", "Endpoint-independent mapping, endpoint-dependent filtering by session; no port overloading.", LATER],
  ["N2", "UDP: at least 2 min idle, default 5, refreshed outbound.", 3],
  ["N3", "ICMP queries: at least 60 s.", 3],
  ["N4", "No ICMP error ends a session.", 3],
  ["N5", "An ICMP error passes only for a live embedded flow with a valid checksum.", 3],
  ["N6", "No answer to an unsolicited inbound SYN for 6 s.", LATER],
  ["N7", "Hairpin for TCP and UDP.", LATER],
  ["N8", "Out-of-order fragments are accepted.", 3],
  ["N9", "After an RST the translation stays 4 min while the session itself is closed.", LATER],
  ["N10", "Limits per subscriber.", LATER],
  ["V1", "In transit ICMPv6 1, 2, 3/0, 4/1–2, 128 and 129 are never dropped; 1 and 2 only with matching state.", 3],
  ["V2", "Routing header type 0, multicast sources, and outside packets with an inside prefix drop.", 3],
  ["V3", "LSRR, SSRR, RR, Timestamp, Stream ID drop; Router Alert, EOL, NOP pass; malformed lengths are rejected first.", 3],
  ["V4", "Overlapping IPv6 fragments kill the datagram; atomic fragments stand alone; the first holds all headers; bounded.", 3],
  ["V5", "Overlapping IPv4 fragments kill the datagram.", 3],
  ["W1", "One owner per session; no verdict depends on the site that a packet arrives at.", 2],
  ["W2", "A packet by the other site within 1 s of a session's end meets the policy.", 3],
  ["W3", "Fragments follow their datagram's session, whichever site sees them.", 3],
  ["W4", "When an owner dies, sessions that a replica has acknowledged live on; the others are counted.", 2],
  ["W5", "A partition, also a one-way one, gives no dual ownership after healing, and equal digests.", 2],
  ["W6", "Half-open limits hold across sites.", 3],
  ["W7", "Replayed, reordered, corrupted or forged twin frames change nothing and are counted.", 2],
  ["W8", "No packet loops: at most two handoffs, the second only towards a named owner.", 2],
].map(([id, sentence, issue]) => ({ id, sentence, issue }) as Requirement);

export interface Citation {
  readonly file: string;
  readonly name: string;
  readonly ids: readonly string[];
}

const ID = "[FTNVW]\\d{1,2}";
const NAME_IDS = new RegExp(`^(${ID}(?:(?:, ?| |–)${ID})*):`);
const LETTERS_AND_NUMBER = /^([FTNVW])(\d+)$/;

/** Ids that a test's name begins with: "F5, V2–V4: …" → F5, V2, V3, V4. */
export function idsOf(name: string): readonly string[] {
  const list = NAME_IDS.exec(name)?.[1];
  if (list === undefined) return [];
  return list.split(/, ?| /).flatMap((part) => {
    const [from = "", to] = part.split("–");
    if (to === undefined) return [from];
    const [letter, first, last] = [from[0], ...[from, to].map((id) => Number(LETTERS_AND_NUMBER.exec(id)?.[2]))];
    return Array.from({ length: (last as number) - (first as number) + 1 }, (_, k) => `${letter}${(first as number) + k}`);
  });
}

/** Every test that cites an id, in the order of files and lines. */
export function citations(root = ROOT): readonly Citation[] {
  return globSync(["test/**/*.test.ts", "test/scripts/*.packets"], { cwd: root })
    .sort()
    .flatMap((file) => testNames(file, readFileSync(join(root, file), "utf8")).map((name) => ({ file, name, ids: idsOf(name) })))
    .filter(({ ids }) => ids.length > 0);
}

function testNames(file: string, text: string): readonly string[] {
  const pattern = file.endsWith(".packets") ? /^test (.*)$/gm : /\btest\(\s*["`]([^"`]*)/g;
  return [...text.matchAll(pattern)].map((match) => match[1] as string);
}

export interface Index {
  readonly rows: readonly (Requirement & { readonly tests: readonly Citation[] })[];
  /** Ids of done issues that no test shows. */
  readonly missing: readonly string[];
  /** Ids that tests cite and nobody knows. */
  readonly unknown: readonly string[];
}

export function index(root = ROOT): Index {
  const all = citations(root);
  const rows = REQUIREMENTS.map((requirement) => ({ ...requirement, tests: all.filter(({ ids }) => ids.includes(requirement.id)) }));
  const known = new Set(REQUIREMENTS.map(({ id }) => id));
  return {
    rows,
    missing: rows.filter(({ issue, tests }) => issue <= ISSUE && tests.length === 0).map(({ id }) => id),
    unknown: [...new Set(all.flatMap(({ ids }) => ids).filter((id) => !known.has(id)))],
  };
}

/** Lines for people. `brief`: one line per id. */
export function sentences({ rows, missing, unknown }: Index, brief = false): readonly string[] {
  const lines = rows.flatMap(({ id, sentence, issue, tests }) => {
    const state = tests.length > 0 ? `${tests.length} ${tests.length === 1 ? "test" : "tests"}` : issue <= ISSUE ? "NO TEST" : "later";
    const head = `${id.padEnd(4)}${sentence}  [${state}]`;
    return brief ? [head] : [head, ...tests.map(({ file, name }) => `      ${file.replace(/^test\//, "")}: ${name}`)];
  });
  if (unknown.length > 0) lines.push(`ids that tests cite and no requirement has: ${unknown.join(" ")}`);
  lines.push(missing.length === 0 ? `requirements: every id up to issue ${ISSUE} has a test` : `requirements without a test: ${missing.join(" ")}`);
  return lines;
}

if (import.meta.main) {
  const found = index();
  if (process.argv.includes("--json")) console.log(JSON.stringify(found, null, 2));
  else for (const line of sentences(found, process.argv.includes("--brief"))) console.log(line);
  process.exitCode = found.missing.length + found.unknown.length === 0 ? 0 : 1;
}
