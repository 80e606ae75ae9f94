// One configuration, changed while packets flow: a commit at A1 is in force at B1 with the next packet, a transfer that it permits does not
// notice, one that it forbids ends; and what nobody confirms is left again on both units, though the link between them is cut.

import { setTimeout as pause } from "node:timers/promises";
import { exchangeWith, startDownload } from "../hosts.ts";
import type { Lab } from "../lab.ts";
import { type Measured, must } from "../measured.ts";
import { SERVICE3 } from "../picture.ts";
import { setTwinLink } from "../topology.ts";
import { configure, hasConflict, revisionOf, revisionSaid, untilAllAt, untilAllTakeIt } from "../typed.ts";

const MEBIBYTE = 1 << 20;
/** Bytes per second: it lasts longer than everything that happens to it. */
const RATE = MEBIBYTE;
/** Sessions are judged anew within a moment of the switch. */
const JUDGED_MILLIS = 5_000;
const CONFIRM_MILLIS = 60_000;
/** What a busy machine may need beyond that. */
const SPARE_MILLIS = 30_000;
const HEAL_MILLIS = 10_000;

async function echoes(): Promise<number> {
  return (await exchangeWith("service1", "tcp", SERVICE3.address4, { count: 20, concurrency: 4 })).succeeded;
}

export async function commitPolicy(lab: Lab): Promise<Measured> {
  const { A1, B1 } = lab.units;
  await untilAllTakeIt(lab);
  must((await echoes()) === 20, "not every connection to the echo service succeeded before the commit");
  const transfer = startDownload("service1", SERVICE3.address4, { rate: RATE });
  await transfer.reached(MEBIBYTE);
  const starts = [A1, B1].map((unit) => unit.number("SELECT starts FROM live_header"));
  const before = performance.now();
  const said = configure(A1, "set policy echo action deny", "commit no echo");
  lab.say(said.replaceAll("\n", "; "));
  const revision = revisionSaid(said);
  await untilAllAt(lab, revision);
  const effectMillis = Math.round(performance.now() - before);
  must((await echoes()) === 0, "the echo service was reached after it was denied");
  const now = [A1, B1].map((unit) => unit.number("SELECT starts FROM live_header"));
  must(now.join() === starts.join(), "a dataplane was started again for a change of policy");
  const atCommit = transfer.received();
  await transfer.reached(atCommit + MEBIBYTE);
  must(transfer.received() >= atCommit + MEBIBYTE, "the download stood still");
  lab.say(`denied at both sites; the download goes on, ${Math.round(transfer.received() / MEBIBYTE)} MiB have arrived`);
  await untilAllAt(lab, revisionSaid(configure(A1, "set policy web action deny", "commit no web either")));
  await pause(JUDGED_MILLIS);
  const received = transfer.received();
  await pause(JUDGED_MILLIS);
  must(transfer.received() === received && received < 60 * MEBIBYTE, "a download that is forbidden went on");
  return { detail: `denied at both sites ${effectMillis} ms after it was typed, nothing restarted; what it permits went on, what it forbids ended` };
}

export async function commitConfirm(lab: Lab): Promise<Measured> {
  const { A1, B1 } = lab.units;
  await untilAllTakeIt(lab);
  const said = configure(A1, "set policy echo action deny", "commit-confirm 1 trial");
  lab.say(said.replaceAll("\n", "; "));
  const denied = performance.now();
  const revision = revisionSaid(said);
  await untilAllAt(lab, revision);
  must((await echoes()) === 0, "the echo service was reached after it was denied");
  setTwinLink("A1", false);
  lab.say("the link between the sites is cut");
  for (const unit of [A1, B1])
    await unit.until("back at what was before", `SELECT revision > ${revision} FROM live_header`, CONFIRM_MILLIS + SPARE_MILLIS - (performance.now() - denied));
  const seconds = ((performance.now() - denied) / 1_000).toFixed(1);
  lab.say(`both went back on their own after ${seconds} s`);
  setTwinLink("A1", true);
  await pause(HEAL_MILLIS);
  must(revisionOf(A1) === revisionOf(B1), `A1 is at revision ${revisionOf(A1)}, B1 at ${revisionOf(B1)}`);
  const history = configure(A1, "history");
  must(!hasConflict(B1), "there is a conflict after healing");
  must(history.includes("was not confirmed"), `the history does not say it: ${history}`);
  must((await echoes()) === 20, "not every connection to the echo service succeeds again");
  return { detail: `with the link cut, both went back by themselves after ${seconds} s, to the same revision` };
}
