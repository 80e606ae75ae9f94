// Damaged packets to everything that answers: whatever comes in, what goes out is sound, and no frame is lost.

import { test } from "tap";
import { checkPacket } from "../../firmware/fastpath/check.ts";
import { Neighbours } from "../../firmware/fastpath/neighbours.ts";
import { P_FLAGS, P_LENGTH, P_OFFSET, PACKET_ICMP_ERROR, PACKET_LOCAL } from "../../firmware/fastpath/packets.ts";
import { Replies } from "../../firmware/fastpath/replies.ts";
import { DROP_NAMES } from "../../firmware/fastpath/verdicts.ts";
import { PACKET_BYTES_MOST } from "../../firmware/limits.ts";
import { plan, row, zones } from "../fastpath/craft.ts";
import { Desk } from "../fastpath/desk.ts";
import { Mutants } from "./parsers.ts";

const RUNS = 100_000;

test("F1 F10: 100,000 mutated packets to neighbours and replies: all that leaves is sound, short and from our own MACs, and frames are conserved", async (t) => {
  const desk = new Desk();
  const neighbours = new Neighbours(plan(), desk.tables, desk.memory, desk);
  neighbours.listener = { resolved: (offset) => desk.memory.give(offset), failed: (offset) => desk.memory.give(offset) };
  const replies = new Replies(plan(), desk.tables, desk.memory, desk);
  const own = new Set(zones().flatMap((zone) => [String(zone.gatewayMac), String(zone.siteMac)]));
  const mutants = new Mutants(11);
  const bytes = new Uint8Array(PACKET_BYTES_MOST);
  let answered = 0;
  for (let run = 0; run < RUNS; run++) {
    const length = mutants.next(bytes);
    const entry = run & 1;
    const packet = row(length, desk.memory.take(), entry, entry === 0 ? 1 : 3);
    desk.memory.bytes.set(bytes.subarray(0, length), packet[P_OFFSET]);
    let isTaken = false;
    if (checkPacket(desk.memory.view, packet, 0, (run & 2) === 0) === 0) {
      if (((packet[P_FLAGS] as number) & PACKET_LOCAL) !== 0) neighbours.input(packet, 0, run);
      else isTaken = answer(replies, packet, run);
    }
    if (!isTaken) desk.memory.give(packet[P_OFFSET] as number);
    neighbours.tick(run);
    replies.tick(run);
    for (const sent of desk.take()) {
      answered++;
      const view = new DataView(sent.bytes.buffer);
      const checked = row(sent.bytes.length);
      const fault = DROP_NAMES[checkPacket(view, checked, 0, (run & 2) === 0)] as string;
      // An error about a packet that hides its ports behind fragments or other errors names no flow; all else must be sound.
      const isNameless = fault === "icmp-unmatched" && ((checked[P_FLAGS] as number) & PACKET_ICMP_ERROR) !== 0;
      if (fault !== "none" && !isNameless) throw new Error(`run ${run}: ${fault}: ${Buffer.from(sent.bytes).toString("hex")}`);
      if (!own.has(String([...sent.bytes.subarray(6, 12)]))) throw new Error(`run ${run}: sent from a MAC that is not ours`);
      if ((checked[P_LENGTH] as number) < 60) throw new Error(`run ${run}: too short for Ethernet`);
    }
  }
  t.ok(answered > 10_000, `${answered} answers`);
  t.equal(desk.freeFrames, 64);
});

/** One answer of each kind in turn; true when the frame is taken. */
function answer(replies: Replies, packet: Int32Array, run: number): boolean {
  if (run % 5 === 0) return replies.echo(packet, 0);
  if (run % 5 === 1) replies.timeExceeded(packet, 0);
  else if (run % 5 === 2) replies.tooBig(packet, 0, 1_280);
  else if (run % 5 === 3) replies.unreachable(packet, 0);
  else replies.reject(packet, 0);
  return false;
}
