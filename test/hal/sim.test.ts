// The simulator's hardware keeps the HAL's contracts: nothing is free that real hardware charges for, and the same seed
// does the same things.

import { test } from "tap";
import { JOB_BODY_BYTES, JOB_OFFSET, JOB_SLOT, JOB_WORDS, PORT_DOWN, PORT_GONE, PORT_UP } from "../../firmware/hal/contracts.ts";
import { createPacketMemory } from "../../firmware/hal/packets.ts";
import { Lane } from "../../firmware/hal/sim/lane.ts";
import { Nic, SimPort } from "../../firmware/hal/sim/port.ts";
import { Random } from "../../firmware/hal/sim/random.ts";
import { DriftingClock, Schedule } from "../../firmware/hal/sim/schedule.ts";
import { NonceLedger, SimSealer } from "../../firmware/hal/sim/sealer.ts";
import { FRAME_BYTES } from "../../firmware/limits.ts";

const MAC = new Uint8Array([2, 0, 0, 0, 0, 1]);

/** Two NICs on one lane; the second is opened as a port with `slots` slots and `frames` frames. */
function link(seed: number, slots = 8, frames = 32) {
  const schedule = new Schedule();
  const packets = createPacketMemory(new ArrayBuffer(frames * FRAME_BYTES));
  const far = new Nic("far", MAC, 1500);
  const near = new Nic("near", MAC, 1500);
  const lane = new Lane("far-near", schedule, new Random(seed, "lane"), 10, (frame) => near.deliver(frame));
  far.lane = lane;
  const port = new SimPort({ nic: near, number: 1, packets, schedule, ringSlots: slots });
  const send = (count: number, bytes = 60) => {
    for (let k = 0; k < count; k++) far.send(new Uint8Array(bytes).fill(k), schedule.nowMicros);
  };
  const fetch = (limit = 64): number[] => {
    const offsets = new Int32Array(limit);
    const lengths = new Int32Array(limit);
    const count = port.receive(offsets, lengths, limit);
    return [...offsets.subarray(0, count)];
  };
  return { schedule, packets, far, near, lane, port, send, fetch };
}

test("events happen in the order of their times, then of their asking", async (t) => {
  const schedule = new Schedule();
  const seen: string[] = [];
  const random = new Random(7);
  for (let k = 0; k < 200; k++) {
    const at = random.below(20);
    schedule.at(at, () => seen.push(`${String(at).padStart(2, "0")} ${String(k).padStart(3, "0")}`));
  }
  schedule.at(5, () => seen.push("never")).cancel();
  schedule.run(100);
  t.same(seen, [...seen].sort());
  t.equal(seen.length, 200);
  t.equal(schedule.nowMicros, 100);
});

test("streams of chance follow from seed and name, and do not disturb each other", async (t) => {
  const draw = (random: Random) => Array.from({ length: 8 }, () => random.word());
  t.same(draw(new Random(1, "a")), draw(new Random(1, "a")));
  t.notSame(draw(new Random(1, "a")), draw(new Random(1, "b")));
  t.notSame(draw(new Random(1, "a")), draw(new Random(2, "a")));
  const one = new Random(3);
  one.fork("child").word();
  t.same(draw(one), draw(new Random(3)));
});

test("a drifting clock gains what it should and never goes back", async (t) => {
  const schedule = new Schedule();
  const clock = new DriftingClock(schedule, 500, 100);
  t.equal(clock.nowMicros(), 500);
  schedule.run(10_000_000);
  t.equal(clock.nowMicros(), 500 + 10_001_000);
});

test("packets arrive, are fetched and given back; no frame is lost", async (t) => {
  const { schedule, packets, port, send, fetch } = link(1);
  send(3);
  t.equal(fetch().length, 0, "nothing before the lane's delay is over");
  schedule.run(10);
  const got = fetch();
  t.same(
    got.map((offset) => packets.bytes[offset]),
    [0, 1, 2],
  );
  for (const offset of got) packets.give(offset);
  port.close();
  t.equal(packets.freeCount, packets.frameCount);
});

test("a full receive ring loses packets until flush has refilled it", async (t) => {
  const { schedule, packets, port, send, fetch } = link(1, 4);
  send(6);
  schedule.run(20);
  t.equal(port.counters.receivedPackets, 4);
  t.equal(port.counters.receiveMissed, 2);
  const got = fetch();
  t.equal(got.length, 4);
  send(1);
  schedule.run(40);
  t.equal(port.counters.receiveMissed, 3, "fetching alone refills nothing");
  for (const offset of got) packets.give(offset);
  port.flush();
  send(1);
  schedule.run(60);
  t.equal(fetch().length, 1);
});

test("exhausted packet memory loses packets, it does not grow", async (t) => {
  const { schedule, port, packets, send } = link(1, 8, 4);
  t.equal(packets.freeCount, 0);
  send(8);
  schedule.run(20);
  t.equal(port.counters.receivedPackets, 4);
  t.equal(port.counters.receiveMissed, 4);
});

test("a transmit ring is full until what is in it has left at the wire's rate", async (t) => {
  const { schedule, packets, near, port } = link(1, 4, 64);
  const heard: number[] = [];
  near.lane = new Lane("near-far", schedule, new Random(1), 0, (frame) => heard.push(frame.length));
  near.lane.bytesPerMicro = 1;
  const queue = () => {
    const offset = packets.take();
    const queued = port.transmit(offset, 100);
    if (!queued) packets.give(offset);
    return queued;
  };
  t.same([queue(), queue(), queue(), queue(), queue()], [true, true, true, true, false]);
  t.equal(port.counters.transmitFull, 1);
  port.flush();
  t.notOk(queue(), "queued frames still occupy the ring");
  schedule.run(100);
  t.ok(queue(), "one has left");
  t.notOk(queue());
  port.flush();
  schedule.run(1_000);
  port.flush();
  t.equal(heard.length, 5);
  port.close();
  t.equal(packets.freeCount, packets.frameCount);
});

test("a port that is down sends and hears nothing; one that is gone gives its frames back and returns", async (t) => {
  const { schedule, packets, near, port, send, fetch } = link(1);
  const free = packets.freeCount;
  near.state = PORT_DOWN;
  port.service(0);
  const offset = packets.take();
  t.notOk(port.transmit(offset, 60));
  packets.give(offset);
  send(1);
  schedule.run(20);
  t.equal(fetch().length, 0);
  near.state = PORT_GONE;
  port.service(0);
  t.equal(port.state, PORT_GONE);
  t.equal(packets.freeCount, packets.frameCount);
  near.state = PORT_UP;
  port.service(0);
  t.equal(packets.freeCount, free);
  send(1);
  schedule.run(40);
  t.equal(fetch().length, 1);
});

test("a backlog can be discarded", async (t) => {
  const { schedule, packets, port, send, fetch } = link(1);
  const free = packets.freeCount;
  send(5);
  schedule.run(20);
  t.equal(port.discardBacklog(), 5);
  t.equal(fetch().length, 0);
  t.equal(packets.freeCount, free);
});

test("a dead dataplane passes nothing, and its NIC can be opened again", async (t) => {
  const { schedule, packets, near, port, send } = link(1);
  port.close();
  send(3);
  schedule.run(20);
  t.equal(near.unclaimed, 3);
  const again = new SimPort({ nic: near, number: 1, packets, schedule });
  t.equal(again.state, PORT_UP);
  t.throws(() => new SimPort({ nic: near, number: 1, packets, schedule }), /is open already/);
});

test("frames above the MTU leave no NIC", async (t) => {
  const { schedule, send, fetch } = link(1);
  send(1, 1500 + 19);
  send(1, 1500 + 18);
  schedule.run(20);
  t.equal(fetch().length, 1);
});

test("a faulty lane loses, doubles, damages and reorders, and does the same again with the same seed", async (t) => {
  const run = (seed: number) => {
    const schedule = new Schedule();
    const heard: string[] = [];
    const lane = new Lane("lane", schedule, new Random(seed), 5, (frame) => heard.push(Buffer.from(frame).toString("hex")));
    Object.assign(lane.faults, { lossRate: 0.1, duplicateRate: 0.1, corruptRate: 0.1, reorderRate: 0.1, reorderMicros: 300, jitterMicros: 3 });
    for (let k = 0; k < 500; k++) schedule.at(k * 10, () => lane.carry(new Uint8Array(20).fill(k & 0xff)));
    schedule.run(1e6);
    t.equal(heard.length, 500 - lane.lost + lane.duplicated);
    t.ok(lane.lost > 20 && lane.duplicated > 20 && lane.corrupted > 20);
    return heard;
  };
  const heard = run(5);
  t.same(run(5), heard);
  t.notSame(run(6), heard);
});

test("a cut lane loses also what is under way", async (t) => {
  const { schedule, lane, send, fetch } = link(1);
  send(1);
  schedule.run(5);
  lane.faults.cut = true;
  send(1);
  schedule.run(20);
  lane.faults.cut = false;
  send(1);
  schedule.run(40);
  t.equal(fetch().length, 1);
  t.equal(lane.lost, 2);
});

test("a sealed frame opens with its key alone, and only as it was sealed", async (t) => {
  const bytes = new Uint8Array(256);
  const ledger = new NonceLedger();
  const sealer = new SimSealer(bytes, ledger);
  const jobs = new Int32Array(JOB_WORDS);
  const job = (slot: number) => {
    jobs[JOB_SLOT] = slot;
    jobs[JOB_OFFSET] = 14;
    jobs[JOB_BODY_BYTES] = 40;
  };
  sealer.install(3, new Uint8Array(32).fill(7));
  sealer.install(4, new Uint8Array(32).fill(8));
  const plain = new Uint8Array(40).fill(0xaa);
  const seal = (counter: number) => {
    bytes.set([1, 2, 1, 3, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, counter], 14);
    bytes.set(plain, 30);
    job(3);
    sealer.seal(jobs, 1);
  };
  const opens = (slot: number) => {
    job(slot);
    return sealer.open(jobs, 1) === 1;
  };
  seal(1);
  t.notSame(bytes.slice(30, 70), plain);
  t.ok(opens(3));
  t.same(bytes.slice(30, 70), plain);
  seal(2);
  t.notOk(opens(4), "another key");
  t.equal(jobs[JOB_SLOT], -1);
  for (const damaged of [14, 18, 29, 30, 69, 70, 85]) {
    seal(10 + damaged);
    bytes[damaged] = (bytes[damaged] as number) ^ 1;
    t.notOk(opens(3), `damaged at ${damaged}`);
  }
  t.throws(() => seal(1), /sealed twice/, "a counter used twice gives the key away");
});
