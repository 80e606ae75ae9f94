// Takeover: the device that forwards loses its power, the other one of the pair goes on. What a paced flow through it misses, and how many
// of the sessions are lost, by what arrives at hosts: nobody is asked what it did.
//
//   round ─► start a pair ─► paced flow ─► sessions come up ─► all are replicated ─► power off ─► silence ─► every session is tried

import { stopLab } from "../../lab/lab.ts";
import { tellProgress } from "../agent.ts";
import { missingOf } from "../peers.ts";
import { type Chart, type Comparison, compare, median, mustBeWhole, type Outcome } from "../result.ts";
import { Keepalived } from "./keepalived.ts";
import { startCrowd } from "./network.ts";
import { type Gaps, Pulse } from "./pulse.ts";
import { Twinwall } from "./twinwall.ts";

const NAME = "takeover";
const SESSIONS = 100_000;
const QUICK_SESSIONS = 2_000;
const ROUNDS = 3;
const FLOOR = 10;

/** Two devices, one of which forwards. */
export interface Device {
  /** Of the gateways at first, towards clients and servers. */
  readonly gatewayMacs: readonly [string, string];
  /** Builds the network and resolves when one of the two forwards. */
  start(): Promise<void>;
  /** Resolves when the other one knows so many sessions. */
  untilReplicated(sessions: number): Promise<void>;
  /** Takes the power of the one that forwards. */
  killActive(): void;
  stop(): void;
}

type Contestant = "twinwall" | "documented" | "fastest";
const DOCUMENTED_ADVERT_SECONDS = 1;
const FASTEST_ADVERT_SECONDS = 0.01;
const TITLES: Readonly<Record<Contestant, string>> = {
  twinwall: "Twinwall",
  documented: "keepalived + conntrackd",
  fastest: `the same, advert_int ${FASTEST_ADVERT_SECONDS}`,
};
const CREATE: Readonly<Record<Contestant, () => Device>> = {
  twinwall: () => new Twinwall(),
  documented: () => new Keepalived({ advertSeconds: DOCUMENTED_ADVERT_SECONDS }),
  fastest: () => new Keepalived({ advertSeconds: FASTEST_ADVERT_SECONDS }),
};

export const TAKEOVER_PARAGRAPH = `Two devices stand between two networks, one forwards, and its power goes: every process is killed, and its links go down. Twinwall is a pair of one site with its
defaults (heartbeats every 20 ms, five missed are a death). keepalived + conntrackd (FT-FW) are configured as conntrack-tools documents it, with its own script primary-backup.sh and keepalived's
default interval of one second (the example says three), and at the shortest interval that VRRP has. The paced flow is a datagram each millisecond both ways; its gap is the longest silence at the
end where it is longer. TCP sends a request when the last one is answered, and its own timer doubles while nobody answers. ${SESSIONS.toLocaleString("en-US")} sessions, half UDP, half TCP, are up before; afterwards each server
sends a packet to its client, which the rules permit in a session only. A session is lost if that never arrives.`;

interface Round extends Gaps {
  readonly kept: number;
}

async function measureRound(device: Device, sessions: number): Promise<Round> {
  try {
    await device.start();
    const pulse = await Pulse.start();
    const crowd = await startCrowd(sessions, device.gatewayMacs);
    const opened = await crowd.open();
    if (opened < sessions) throw new Error(`bench: ${opened} of ${sessions} sessions came up`);
    await device.untilReplicated(sessions);
    pulse.mark();
    device.killActive();
    const gaps = await pulse.gaps();
    const kept = await crowd.reply();
    pulse.stop();
    crowd.stop();
    return { ...gaps, kept };
  } finally {
    stopLab();
  }
}

/** Runs inside the sandbox. */
export async function measureTakeover(isQuick: boolean): Promise<Outcome> {
  const sessions = isQuick ? QUICK_SESSIONS : SESSIONS;
  const rounds = isQuick ? 1 : ROUNDS;
  const hasPeers = missingOf(["keepalived", "conntrackd", "conntrack"]).length === 0;
  const contestants: readonly Contestant[] = hasPeers ? ["twinwall", "documented", "fastest"] : ["twinwall"];
  const results: Readonly<Record<Contestant, Round[]>> = { twinwall: [], documented: [], fastest: [] };
  for (let round = 0; round < rounds; round++) {
    for (const [k, contestant] of contestants.entries()) {
      tellProgress((round * contestants.length + k) / (rounds * contestants.length), `round ${round + 1}: ${TITLES[contestant]}`);
      results[contestant].push(await measureRound(CREATE[contestant](), sessions));
    }
  }
  return { comparisons: comparisonsOf(results, sessions), charts: [chartOf(results)], notes: notesOf(results) };
}

const paced = (rounds: readonly Round[]): number[] => rounds.map(({ pacedMillis }) => pacedMillis);
const exchanges = (rounds: readonly Round[]): number[] => rounds.map(({ exchangeMillis }) => exchangeMillis);
const kept = (rounds: readonly Round[]): number[] => rounds.map((round) => round.kept);

function notesOf(results: Readonly<Record<Contestant, readonly Round[]>>): string[] {
  return (Object.keys(TITLES) as Contestant[]).flatMap((name) => {
    const ended = results[name].filter(({ isExchanging }) => !isExchanging).length;
    return ended === 0 ? [] : [`${TITLES[name]}: the TCP connection did not go on in ${ended} of ${results[name].length} rounds; its gap ends with the round`];
  });
}

function comparisonsOf({ twinwall, ...peers }: Readonly<Record<Contestant, readonly Round[]>>, sessions: number): Comparison[] {
  const figure = `sessions kept, of ${sessions.toLocaleString("en-US")}`;
  const rows = (["documented", "fastest"] as const).flatMap((name) => {
    const common = { benchmark: NAME, peer: TITLES[name] };
    const floor = name === "documented" ? { floor: FLOOR } : {};
    const theirs = peers[name];
    return [
      compare({ ...common, figure: "gap of a paced flow: ms", ours: paced(twinwall), theirs: paced(theirs), better: "less", ...floor }),
      compare({ ...common, figure: "gap of TCP requests: ms", ours: exchanges(twinwall), theirs: exchanges(theirs), better: "less" }),
      compare({ ...common, figure, ours: kept(twinwall), theirs: kept(theirs), better: "more" }),
    ];
  });
  return [...rows, mustBeWhole(NAME, figure, kept(twinwall), sessions)];
}

function chartOf(results: Readonly<Record<Contestant, readonly Round[]>>): Chart {
  const middle = (values: readonly number[]): number | null => (values.length > 0 ? median(values) : null);
  const series = (Object.keys(TITLES) as Contestant[]).map((name) => ({
    name: TITLES[name],
    values: [middle(paced(results[name])), middle(exchanges(results[name]))],
  }));
  return { name: NAME, title: "A device loses its power: what is missed", unit: "ms", groups: ["a paced flow", "TCP requests"], series };
}
