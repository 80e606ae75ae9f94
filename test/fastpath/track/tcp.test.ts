// TCP tracking, segment by segment: handshakes, windows, resets, close.

import { test } from "tap";
import { STATE_NAMES } from "../../../firmware/fastpath/memory/tables.ts";
import { FLAG_TENTATIVE, ROW_WORDS, S_ADOPTED, S_END, S_STATE, WINDOW_STRIDE } from "../../../firmware/fastpath/sessions.ts";
import { openTcp, TCP_CHANGED, TCP_ENDED, TCP_PASS, TCP_REFRESH, TCP_REOPENS, TCP_SYN_AGAIN, trackTcp } from "../../../firmware/fastpath/track/tcp.ts";
import { drop } from "../../../firmware/fastpath/verdicts.ts";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../../../firmware/fastpath/wire/tcp.ts";

const CLIENT = 0;
const SERVER = 1;
const OUT_OF_WINDOW = drop("tcp-out-of-window");
const BAD_STATE = drop("tcp-bad-state");
const STRAGGLER = drop("tcp-straggler");
const INEXACT = drop("tcp-inexact-reset");

interface Segment {
  readonly seq: number;
  readonly ack?: number;
  readonly bytes?: number;
  readonly window?: number;
  readonly scale?: number;
}

/** A session and the segments that pass through it. Sequence numbers start at 1000 (client) and 5000 (server). */
class Flow {
  readonly row = new Int32Array(ROW_WORDS);
  private readonly view = new DataView(new ArrayBuffer(128));
  now = 0;

  private write(flags: number, segment: Segment): number {
    const options = segment.scale === undefined ? 0 : 4;
    this.view.setUint32(4, segment.seq >>> 0);
    this.view.setUint32(8, (segment.ack ?? 0) >>> 0);
    this.view.setUint8(12, (5 + options / 4) << 4);
    this.view.setUint8(13, flags);
    this.view.setUint16(14, segment.window ?? 65_535);
    if (segment.scale !== undefined) this.view.setUint32(20, (1 << 24) | (3 << 16) | (3 << 8) | segment.scale);
    return 20 + options + (segment.bytes ?? 0);
  }

  open(segment: Segment): void {
    openTcp(this.row, 0, this.view, 0, this.write(TCP_SYN, segment));
  }

  send(direction: number, flags: number, segment: Segment): number {
    return trackTcp(this.row, 0, direction, this.view, 0, this.write(flags, segment), this.now);
  }

  get state(): string {
    return STATE_NAMES[(this.row[S_STATE] as number) & 0xff] as string;
  }
}

function established(scales: readonly [number | undefined, number | undefined] = [7, 7], window = 65_535): Flow {
  const flow = new Flow();
  const offer = (scale: number | undefined) => (scale === undefined ? {} : { scale });
  flow.open({ seq: 1000, window, ...offer(scales[0]) });
  flow.send(SERVER, TCP_SYN | TCP_ACK, { seq: 5000, ack: 1001, window, ...offer(scales[1]) });
  flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001, window: 512 });
  return flow;
}

test("a handshake passes through syn-sent and syn-received to established", async (t) => {
  const flow = new Flow();
  flow.open({ seq: 1000, scale: 7 });
  t.equal(flow.state, "syn-sent");
  t.equal(flow.send(SERVER, TCP_SYN | TCP_ACK, { seq: 5000, ack: 1001, scale: 7 }), TCP_CHANGED);
  t.equal(flow.state, "syn-received");
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001 }), TCP_CHANGED);
  t.equal(flow.state, "established");
});

test("a repeated SYN and a repeated SYN,ACK pass and change no state", async (t) => {
  const flow = new Flow();
  flow.open({ seq: 1000, scale: 7 });
  t.equal(flow.send(CLIENT, TCP_SYN, { seq: 1000, scale: 7 }), TCP_PASS);
  flow.send(SERVER, TCP_SYN | TCP_ACK, { seq: 5000, ack: 1001, scale: 7 });
  t.equal(flow.send(SERVER, TCP_SYN | TCP_ACK, { seq: 5000, ack: 1001, scale: 7 }), TCP_PASS);
  t.equal(flow.state, "syn-received");
});

test("F3: in a handshake, wrong flags and wrong acknowledgements do not pass", async (t) => {
  const flow = new Flow();
  flow.open({ seq: 1000, scale: 7 });
  t.equal(flow.send(SERVER, TCP_ACK, { seq: 5000, ack: 1001 }), BAD_STATE, "an ACK before the SYN,ACK");
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001 }), BAD_STATE, "the client's ACK before the SYN,ACK");
  t.equal(flow.send(SERVER, TCP_SYN | TCP_ACK, { seq: 5000, ack: 9999 }), BAD_STATE, "a SYN,ACK of something else");
  t.equal(flow.send(SERVER, TCP_RST, { seq: 5000 }), INEXACT, "a reset that acknowledges nothing");
  t.equal(flow.state, "syn-sent");
  t.equal(flow.send(SERVER, TCP_RST | TCP_ACK, { seq: 0, ack: 1001 }), TCP_ENDED, "the refusal of a closed port");
});

test("T1: segments inside the windows pass, segments outside do not", async (t) => {
  const flow = established();
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001, bytes: 1000, window: 512 }), TCP_PASS);
  t.equal(flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 2001, bytes: 1000, window: 512 }), TCP_PASS);
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 2001 + 65_537, ack: 6001, window: 512 }), OUT_OF_WINDOW, "beyond what the server granted");
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 2001 - 70_000, ack: 6001, window: 512 }), OUT_OF_WINDOW, "too old");
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 2001, ack: 6002, window: 512 }), OUT_OF_WINDOW, "acknowledges what was never sent");
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 2001, ack: 5001 - 66_001, window: 512 }), OUT_OF_WINDOW, "acknowledges the distant past");
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001, bytes: 1000, window: 512 }), TCP_PASS, "a retransmission");
});

test("T1: an acknowledgement that others overtook passes, though the window that they opened has been filled since", async (t) => {
  const flow = established([undefined, undefined]);
  flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 1001, bytes: 60_000 });
  flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 45_001 });
  flow.send(SERVER, TCP_ACK, { seq: 65_001, ack: 1001, bytes: 45_000 });
  const sent = 110_001;
  t.equal(
    flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001 }),
    TCP_PASS,
    `${sent - 5001} bytes behind what was sent, 40,000 behind the highest acknowledgement`,
  );
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 45_001 - 66_000 }), TCP_PASS, "the oldest that RFC 5961 §5 lets pass");
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 45_001 - 66_001 }), OUT_OF_WINDOW);
});

test("T1: data that later data overtook passes, though the window that those opened has been filled since", async (t) => {
  const flow = established([undefined, undefined]);
  flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 1001, bytes: 60_000 });
  flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 45_001 });
  flow.send(SERVER, TCP_ACK, { seq: 65_001, ack: 1001, bytes: 45_000 });
  t.equal(flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 1001, bytes: 1_000 }), TCP_PASS, "104,000 bytes behind what was sent");
  t.equal(flow.send(SERVER, TCP_ACK, { seq: 45_001 - 65_536, ack: 1001 }), OUT_OF_WINDOW);
});

test("F4: in time-wait what was overtaken does not pass, and is told from what never belonged", async (t) => {
  const flow = established();
  flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001, bytes: 2_000 });
  flow.send(SERVER, TCP_FIN | TCP_ACK, { seq: 5001, ack: 3001 });
  flow.send(CLIENT, TCP_FIN | TCP_ACK, { seq: 3001, ack: 5002 });
  flow.send(SERVER, TCP_ACK, { seq: 5002, ack: 3002 });
  t.equal(flow.state, "time-wait");
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001, bytes: 1_000 }), STRAGGLER, "data from before");
  t.equal(flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 2001 }), STRAGGLER, "an acknowledgement from before");
  t.equal(flow.send(SERVER, TCP_ACK, { seq: 5002, ack: 3002, bytes: 1 }), BAD_STATE, "something new");
  t.equal(flow.send(SERVER, 0, { seq: 5001 }), BAD_STATE, "without an acknowledgement");
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1001 - 20_000_000, ack: 5001 }), BAD_STATE, "the distant past");
});

test("T1: windows hold where sequence numbers wrap", async (t) => {
  const flow = new Flow();
  flow.open({ seq: 0xffffff00, scale: 0 });
  flow.send(SERVER, TCP_SYN | TCP_ACK, { seq: 0xfffffff0, ack: 0xffffff01, scale: 0 });
  flow.send(CLIENT, TCP_ACK, { seq: 0xffffff01, ack: 0xfffffff1 });
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 0xffffff01, ack: 0xfffffff1, bytes: 1000 }), TCP_REFRESH, "zero is a multiple of M/2");
  t.equal(flow.row[S_END], 0xffffff01 + 1000 - 2 ** 32);
  t.equal(flow.send(SERVER, TCP_ACK, { seq: 0xfffffff1, ack: 745, bytes: 10 }), TCP_PASS);
  t.equal(flow.send(SERVER, TCP_ACK, { seq: 0xfffffffb, ack: 0x7fffffff }), OUT_OF_WINDOW);
});

test("T1: a window scale counts only when both sides offered it", async (t) => {
  const both = established([7, 7]);
  both.send(SERVER, TCP_ACK, { seq: 5001, ack: 1001, window: 4096 });
  t.equal(both.send(CLIENT, TCP_ACK, { seq: 1001 + 500_000, ack: 5001, window: 512 }), TCP_PASS);
  const one = established([7, undefined]);
  one.send(SERVER, TCP_ACK, { seq: 5001, ack: 1001, window: 4096 });
  t.equal(one.send(CLIENT, TCP_ACK, { seq: 1001 + 500_000, ack: 5001, window: 512 }), OUT_OF_WINDOW);
});

test("T2: a reset closes at exactly the next byte, passes elsewhere in the window without closing, and is dropped outside", async (t) => {
  const flow = established();
  flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 1001, bytes: 100, window: 512 });
  t.equal(flow.send(SERVER, TCP_RST, { seq: 5101 + 1_000_000 }), OUT_OF_WINDOW);
  t.equal(flow.send(SERVER, TCP_RST, { seq: 5111 }), TCP_PASS);
  t.equal(flow.state, "established");
  t.equal(flow.send(SERVER, TCP_RST, { seq: 5101 }), TCP_ENDED);
});

test("T3: a SYN in an established session does not reset it, and the challenge ACK passes", async (t) => {
  const flow = established();
  t.equal(flow.send(CLIENT, TCP_SYN, { seq: 77_777, scale: 7 }), TCP_SYN_AGAIN);
  t.equal(flow.state, "established");
  t.equal(flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 1001, window: 512 }), TCP_PASS);
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001, bytes: 10, window: 512 }), TCP_PASS);
});

test("T5: a simultaneous open ends established", async (t) => {
  const flow = new Flow();
  flow.open({ seq: 1000, scale: 7 });
  t.equal(flow.send(SERVER, TCP_SYN, { seq: 5000, scale: 7 }), TCP_CHANGED);
  t.equal(flow.send(CLIENT, TCP_SYN | TCP_ACK, { seq: 1000, ack: 5001, scale: 7 }), TCP_CHANGED);
  t.equal(flow.send(SERVER, TCP_SYN | TCP_ACK, { seq: 5000, ack: 1001, scale: 7 }), TCP_CHANGED);
  t.ok(flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001, window: 512 }) <= 0);
  t.ok(flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 1001, window: 512 }) <= 0);
  t.equal(flow.state, "established");
});

test("T5: data in the SYN (Fast Open) passes, and is acknowledged with it or not", async (t) => {
  const whole = new Flow();
  whole.open({ seq: 1000, bytes: 300, scale: 7 });
  t.equal(whole.send(SERVER, TCP_SYN | TCP_ACK, { seq: 5000, ack: 1301, scale: 7 }), TCP_CHANGED);
  t.equal(whole.send(CLIENT, TCP_ACK, { seq: 1301, ack: 5001, window: 512 }), TCP_CHANGED);
  const refused = new Flow();
  refused.open({ seq: 1000, bytes: 300, scale: 7 });
  t.equal(refused.send(SERVER, TCP_SYN | TCP_ACK, { seq: 5000, ack: 1001, scale: 7 }), TCP_CHANGED);
  t.equal(refused.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001, bytes: 300, window: 512 }), TCP_CHANGED);
  t.equal(refused.state, "established");
});

test("an orderly close passes through fin-wait, close-wait and last-ack to time-wait", async (t) => {
  const flow = established();
  flow.send(CLIENT, TCP_FIN | TCP_ACK, { seq: 1001, ack: 5001, window: 512 });
  t.equal(flow.state, "fin-wait");
  flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 1002, window: 512 });
  t.equal(flow.state, "close-wait");
  t.equal(flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 1002, bytes: 1000, window: 512 }), TCP_PASS, "half-closed: the other side goes on");
  flow.send(SERVER, TCP_FIN | TCP_ACK, { seq: 6001, ack: 1002, window: 512 });
  t.equal(flow.state, "last-ack");
  flow.send(CLIENT, TCP_ACK, { seq: 1002, ack: 6002, window: 512 });
  t.equal(flow.state, "time-wait");
});

test("F4: after the close only a repeated FIN and its acknowledgement pass; a new SYN meets the policy", async (t) => {
  const flow = established();
  flow.send(CLIENT, TCP_FIN | TCP_ACK, { seq: 1001, ack: 5001, window: 512 });
  flow.send(SERVER, TCP_FIN | TCP_ACK, { seq: 5001, ack: 1002, window: 512 });
  flow.send(CLIENT, TCP_ACK, { seq: 1002, ack: 5002, window: 512 });
  t.equal(flow.state, "time-wait");
  t.equal(flow.send(SERVER, TCP_FIN | TCP_ACK, { seq: 5001, ack: 1002, window: 512 }), TCP_PASS);
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1002, ack: 5002, window: 512 }), TCP_PASS);
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1002, ack: 5002, bytes: 10, window: 512 }), BAD_STATE);
  t.equal(flow.send(CLIENT, TCP_SYN, { seq: 90_000 }), TCP_REOPENS);
});

test("crossing FINs end in time-wait", async (t) => {
  const flow = established();
  flow.send(CLIENT, TCP_FIN | TCP_ACK, { seq: 1001, ack: 5001, window: 512 });
  flow.send(SERVER, TCP_FIN | TCP_ACK, { seq: 5001, ack: 1001, window: 512 });
  t.equal(flow.state, "last-ack");
  flow.send(CLIENT, TCP_ACK, { seq: 1002, ack: 5002, window: 512 });
  flow.send(SERVER, TCP_ACK, { seq: 5002, ack: 1002, window: 512 });
  t.equal(flow.state, "time-wait");
});

test("a replica is refreshed when a direction crosses half of M, and not for every segment", async (t) => {
  const flow = established([14, 14]);
  let refreshes = 0;
  for (let sent = 0; sent < 4 * 1_048_576; sent += 1_024) {
    const verdict = flow.send(CLIENT, TCP_ACK, { seq: 1001 + sent, ack: 5001, bytes: 1_024, window: 512 });
    flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 1001 + sent + 1_024, window: 512 });
    if (verdict === TCP_REFRESH) refreshes++;
    else t.equal(verdict, TCP_PASS);
  }
  t.equal(refreshes, 8);
});

test("while windows are tentative a replica is refreshed, too, by what is sent and by what is acknowledged", async (t) => {
  for (const isSeen of [true, false]) {
    const flow = established([14, 14]);
    flow.row[S_STATE] = (flow.row[S_STATE] as number) | FLAG_TENTATIVE;
    let refreshes = 0;
    for (let sent = 0; sent < 4 * 1_048_576; sent += 1_024) {
      if (isSeen && flow.send(CLIENT, TCP_ACK, { seq: 1001 + sent, ack: 5001, bytes: 1_024, window: 512 }) === TCP_REFRESH) refreshes++;
      if (flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 1001 + sent + 1_024, window: 512 }) === TCP_REFRESH) refreshes++;
    }
    t.equal(refreshes, 8, isSeen ? "both directions come by" : "the other direction is not seen");
  }
});

test("an adopter accepts up to maxend + 2M, and is strict again after ten seconds", async (t) => {
  const flow = established();
  flow.row[S_STATE] = (flow.row[S_STATE] as number) | FLAG_TENTATIVE;
  flow.row[S_ADOPTED] = 1;
  const ahead = 1_500_000;
  t.equal(flow.send(CLIENT, TCP_RST, { seq: 1001 + ahead }), TCP_PASS, "a reset beyond the known windows ends nothing");
  t.ok(flow.send(CLIENT, TCP_ACK, { seq: 1001 + ahead, ack: 5001, bytes: 100, window: 512 }) <= 0);
  t.ok(flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 1101 + ahead, window: 512 }) <= 0);
  flow.now = 10_500;
  t.ok(flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 1101 + ahead, window: 512 }) <= 0);
  t.equal((flow.row[S_STATE] as number) & FLAG_TENTATIVE, 0);
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1101 + 2 * ahead, ack: 5001, window: 512 }), OUT_OF_WINDOW);
  t.equal(flow.row[S_END + WINDOW_STRIDE], 5001);
});

test("after an adoption, bytes that only the former owner saw may still be acknowledged once both directions were seen", async (t) => {
  const flow = established();
  flow.row[S_STATE] = (flow.row[S_STATE] as number) | FLAG_TENTATIVE;
  flow.row[S_ADOPTED] = 1;
  t.ok(flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 1001, window: 512 }) <= 0);
  t.ok(flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001, bytes: 100, window: 512 }) <= 0, "repeated after a timeout: a hole is filled");
  t.ok(flow.send(SERVER, TCP_ACK, { seq: 5001, ack: 4001, window: 512 }) <= 0, "the server had the rest from before");
  t.ok(flow.send(CLIENT, TCP_ACK, { seq: 4001, ack: 5001, bytes: 100, window: 512 }) <= 0);
});

test("T1: a receiver with a large window repeats an old acknowledgement while megabytes are in flight", async (t) => {
  // The acknowledging side's own window bounds how far its acknowledgement lags; the sender's window says nothing about it.
  const flow = established([7, 7]);
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001, window: 32_768 }), TCP_PASS, "4 MiB granted");
  for (let sent = 0; sent < 3_000_000; sent += 1_000) flow.send(SERVER, TCP_ACK, { seq: 5001 + sent, ack: 1001, bytes: 1_000, window: 512 });
  t.equal(flow.send(CLIENT, TCP_ACK, { seq: 1001, ack: 5001, window: 32_768 }), TCP_PASS, "the first segment was lost, so the acknowledgement stands still");
});
