// Another policy comes in force between two packets: it decides as one that was compiled in place, sessions that it forbids are closed and
// the others live, and what cannot be read changes nothing.

import fc from "fast-check";
import { test } from "tap";
import { putCommand } from "../../firmware/fastpath/memory/commands.ts";
import { COMMAND_POLICY } from "../../firmware/fastpath/memory/tables.ts";
import { Policy } from "../../firmware/fastpath/policy.ts";
import { readPolicyImage, writePolicyImage } from "../../firmware/fastpath/policy-image.ts";
import { Routes } from "../../firmware/fastpath/routes.ts";
import { ROW_WORDS, S_REVISION, S_RULE } from "../../firmware/fastpath/sessions.ts";
import { POLICY_SLICE_BYTES, REVIEW_DECISIONS } from "../../firmware/limits.ts";
import type { Plan, PlannedRoute, PlannedRule } from "../../firmware/plan.ts";
import { address, plan, prefix, rule, words } from "./craft.ts";
import { arpRequest, ONE, Rig, THREE } from "./rig.ts";

const web = (number: number, action: PlannedRule["action"], port = 80): PlannedRule =>
  rule(number, { services: [{ protocol: 6, ports: [port, port], codes: [0, 255] }], action });

function offer(rig: Rig, parts: Partial<Plan>): void {
  rig.policies.image = new Uint8Array(writePolicyImage({ ...rig.plan, ...parts }).buffer);
  putCommand(rig.tables, COMMAND_POLICY, 0, 0);
}

/** A rig with a TCP session from ONE to THREE. */
function withSession(parts: Partial<Plan> = {}): Rig {
  const rig = new Rig({ rules: [web(1, "permit"), web(2, "permit", 81)], ...parts });
  rig.meetHosts();
  rig.fromOne({ protocol: 6, flags: 0x02, destinationPort: 80 });
  rig.frames(1);
  return rig;
}

test("an image decides as the policy that it was made of", async (t) => {
  const ports = fc.integer({ min: 0, max: 9 });
  const rules = fc.array(
    fc.record({
      from: fc.subarray([1, 3]),
      source: fc.subarray(["10.1.0.0/24", "10.0.0.0/8", "2001:db8::/32", "10.1.0.11/32"]),
      low: ports,
      action: fc.constantFrom("permit", "deny", "reject"),
      log: fc.boolean(),
    }),
    { maxLength: 80 },
  );
  const tuple = new Int32Array(16);
  fc.assert(
    fc.property(rules, rules, (one, two) => {
      const built = (list: typeof one): PlannedRule[] =>
        list.map(({ from, source, low, action, log }, k) =>
          rule(k + 1, {
            fromZones: from,
            sources: source.map(prefix),
            services: [{ protocol: 6, ports: [low, 9], codes: [0, 255] }],
            action,
            log,
          } as Partial<PlannedRule>),
        );
      const expected = new Policy(built(two), 7);
      const switched = new Policy(built(one), 6);
      const image = readPolicyImage(writePolicyImage({ ...plan(), rules: built(two), revision: 7 }));
      if (image === undefined) return false;
      switched.use(image.policy);
      for (let port = 0; port < 12; port++) {
        for (const last of [11, 12]) {
          tuple.set([
            0,
            0,
            0xffff0000 | 0,
            0x0a | (1 << 8) | (last << 24),
            0,
            0,
            0xffff0000 | 0,
            0x0a | (3 << 8) | (33 << 24),
            (port << 24) | 0x3930,
            6 | (1 << 8),
          ]);
          if (switched.decideTuple(tuple, 0, 1, 3, 0) !== expected.decideTuple(tuple, 0, 1, 3, 0)) return false;
        }
      }
      return switched.revision === 7 && two.every(({ log }, k) => switched.logs(k + 1) === log);
    }),
    { numRuns: 200 },
  );
  t.pass();
});

test("the first packet after the switch meets the new policy", async (t) => {
  const rig = withSession();
  offer(rig, { rules: [web(1, "deny"), web(2, "permit", 81)], revision: 2 });
  while (rig.header("revision") !== 2) rig.breathe();
  rig.fromOne({ protocol: 6, flags: 0x02, destinationPort: 80, sourcePort: 9_999 });
  t.same(rig.seen(1).length, 0);
  rig.fromOne({ protocol: 6, flags: 0x02, destinationPort: 81 });
  t.same(rig.seen(1).length, 1);
});

test("a session that is still permitted lives, with the new revision and rule; one that is not is closed", async (t) => {
  const rig = withSession();
  offer(rig, { rules: [web(1, "deny", 22), web(2, "permit", 81), web(3, "permit")], revision: 2 });
  rig.pass(100, 5);
  t.same(rig.states(), ["syn-sent"]);
  const row = rig.dataplane.sessions.i.subarray(0).findIndex((word, at) => at % ROW_WORDS === S_REVISION && word === 2);
  t.equal(rig.dataplane.sessions.i[row - S_REVISION + S_RULE], 3);
  offer(rig, { rules: [web(1, "permit", 81)], revision: 3 });
  rig.pass(100, 5);
  t.same(rig.states(), []);
  rig.fromThree({ protocol: 6, flags: 0x12, source: THREE.v4, destination: ONE.v4, sourcePort: 80 });
  t.same(rig.seen(0).length, 0, "its answer finds no session");
});

test("without review, sessions live until they end", async (t) => {
  const rig = withSession();
  offer(rig, { rules: [], revision: 2, reviewSessions: false });
  rig.pass(100, 5);
  t.same(rig.states(), ["syn-sent"]);
});

test("timeouts are in the image too", async (t) => {
  const rig = withSession();
  offer(rig, { revision: 2, idleMillis: { ...rig.plan.idleMillis, tcpOpening: 1_000 } });
  while (rig.header("revision") !== 2) rig.breathe();
  rig.fromOne({ protocol: 6, flags: 0x02, destinationPort: 81 });
  rig.pass(2_000);
  t.same(rig.states(), ["syn-sent"], "the older one has the idle time that it was given");
});

/** Networks behind a host: what lies there, the host, its zone. */
const via = (network: string, nextHop: string, zone: number): PlannedRoute => ({ prefix: prefix(network), nextHop: address(nextHop), zone });
const FAR = "192.0.2.9";

test("an image finds routes as the plan that it was made of", async (t) => {
  const networks = ["0.0.0.0/0", "192.0.2.0/24", "192.0.2.8/29", "192.0.0.0/8", "::/0", "2001:db8:9::/48", "2001:db8:9:1::/64"];
  const hops = ["10.1.0.1", "10.3.0.1", "2001:db8:3::1", "10.3.0.2"];
  const tables = fc.array(fc.tuple(fc.constantFrom(...networks), fc.constantFrom(...hops), fc.constantFrom(1, 3)), { maxLength: 12 });
  const destinations = [FAR, "192.0.2.1", "198.51.100.1", "10.1.0.7", "10.3.0.9", "2001:db8:9::1", "2001:db8:9:1::1", "2001:db8:3::9", "2001:db9::1"];
  fc.assert(
    fc.property(tables, tables, (one, two) => {
      const expected = new Routes(plan({ routes: two.map(([network, hop, zone]) => via(network, hop, zone)) }));
      const switched = new Routes(plan({ routes: one.map(([network, hop, zone]) => via(network, hop, zone)) }));
      const image = readPolicyImage(writePolicyImage(plan({ routes: two.map(([network, hop, zone]) => via(network, hop, zone)) })));
      if (image === undefined) return false;
      switched.use(image.routes);
      return destinations.every((text) => {
        const found = switched.find(words(text), 0);
        if (found !== expected.find(words(text), 0)) return false;
        const hopOf = (routes: Routes): string => routes.hop.subarray(found * 4, found * 4 + 4).join();
        return (
          found < 0 || (switched.entry[found] === expected.entry[found] && switched.zone[found] === expected.zone[found] && hopOf(switched) === hopOf(expected))
        );
      });
    }),
    { numRuns: 300 },
  );
  t.pass();
});

/** A rig with a session from ONE to a network behind THREE. */
function withFarSession(): Rig {
  const rig = new Rig({ rules: [rule(1)], routes: [via("192.0.2.0/24", THREE.v4, 3)] });
  rig.meetHosts();
  rig.fromOne({ protocol: 17, destination: FAR, destinationPort: 53 });
  rig.fromOne({ protocol: 17, destination: FAR, destinationPort: 53 });
  rig.frames(1);
  return rig;
}

test("a live session takes another route from the first packet after the switch", async (t) => {
  const rig = withFarSession();
  offer(rig, { routes: [via("192.0.2.0/24", "10.3.0.34", 3)], revision: 2 });
  while (rig.header("revision") !== 2) rig.breathe();
  rig.put(1, arpRequest("02:00:00:00:00:34", "10.3.0.34", "10.3.0.254", 30));
  rig.frames(1);
  rig.fromOne({ protocol: 17, destination: FAR, destinationPort: 53 });
  t.same(
    rig.seen(1).map(({ frame }) => Buffer.from(frame.subarray(0, 6)).toString("hex")),
    ["020000000034"],
  );
  t.equal(rig.states().length, 1);
  offer(rig, { routes: [], revision: 3 });
  while (rig.header("revision") !== 3) rig.breathe();
  rig.fromOne({ protocol: 17, destination: FAR, destinationPort: 53 });
  t.equal(rig.drops()["no-route"], 1);
  rig.pass(100, 5);
  t.equal(rig.states().length, 1, "it lives on, and goes on when there is a route again");
  offer(rig, { routes: [via("192.0.2.0/24", THREE.v4, 3)], revision: 4 });
  while (rig.header("revision") !== 4) rig.breathe();
  rig.fromOne({ protocol: 17, destination: FAR, destinationPort: 53 });
  t.equal(rig.seen(1).length, 1);
});

test("a route into another zone takes no session there that a rule has not permitted, and review ends it", async (t) => {
  for (const reviewSessions of [true, false]) {
    const rig = withFarSession();
    offer(rig, { rules: [rule(1, { toZones: [3] })], routes: [via("192.0.2.0/24", "10.1.0.12", 1)], revision: 2, reviewSessions });
    while (rig.header("revision") !== 2) rig.breathe();
    rig.put(0, arpRequest("02:00:00:00:00:12", "10.1.0.12", "10.1.0.254"));
    rig.frames(0);
    rig.fromOne({ protocol: 17, destination: FAR, destinationPort: 53 });
    t.same([rig.seen(0).length, rig.seen(1).length], [0, 0]);
    rig.pass(100, 5);
    t.equal(rig.states().length, reviewSessions ? 0 : 1);
    t.equal(rig.lost, 0);
  }
});

test("a large policy comes in slices, and is in force when the last has come", async (t) => {
  const rig = withSession();
  const rules = Array.from({ length: 3_000 }, (_, k) =>
    rule(k + 1, { sources: [prefix(`10.${k >> 8}.${k & 0xff}.0/24`)], services: [{ protocol: 6, ports: [k, k + 5], codes: [0, 255] }] }),
  );
  offer(rig, { rules, revision: 2 });
  const slices = Math.ceil(rig.policies.image.length / POLICY_SLICE_BYTES);
  t.ok(slices > 2);
  // An order is obeyed at the end of a breath; the slices begin with the next one.
  for (let k = 0; k < slices; k++) {
    rig.breathe();
    t.equal(rig.header("revision"), 1, `after ${k} of ${slices}`);
  }
  rig.breathe();
  t.equal(rig.header("revision"), 2);
});

test("a newer policy that comes in the middle of another begins anew", async (t) => {
  const rig = withSession();
  const rules = Array.from({ length: 3_000 }, (_, k) => rule(k + 1, { sources: [prefix(`10.${k >> 8}.${k & 0xff}.0/24`)] }));
  offer(rig, { rules, revision: 2 });
  rig.breathe();
  offer(rig, { rules: [web(1, "permit")], revision: 3 });
  rig.pass(100, 5);
  t.equal(rig.header("revision"), 3);
});

test("an image that is cut off, empty or of another version changes nothing", async (t) => {
  const rig = withSession();
  const whole = new Uint8Array(writePolicyImage({ ...rig.plan, rules: [], revision: 2 }).buffer);
  const other = whole.slice();
  other[4] = 99;
  for (const image of [whole.slice(0, whole.length - 4), whole.slice(0, 40), new Uint8Array(), other, new Uint8Array(4_000)]) {
    rig.policies.image = image;
    putCommand(rig.tables, COMMAND_POLICY, 0, 0);
    rig.pass(50, 5);
    t.equal(rig.header("revision"), 1);
  }
  t.same(rig.states(), ["syn-sent"]);
});

test("a tick judges a bounded number of sessions, and all come in turn", async (t) => {
  const rig = new Rig({ rules: [rule(1)], sessions: 4_096 });
  rig.meetHosts();
  const sessions = 3 * REVIEW_DECISIONS;
  for (let k = 0; k < sessions; k++) rig.fromOne({ protocol: 17, sourcePort: 1_024 + k, destinationPort: 53 });
  t.equal(rig.states().length, sessions);
  offer(rig, { rules: [], revision: 2 });
  rig.breathe();
  const counts: number[] = [];
  for (let k = 0; k < 12 && rig.states().length > 0; k++) {
    const before = rig.states().length;
    rig.pass(5, 5);
    counts.push(before - rig.states().length);
  }
  t.same(rig.states(), []);
  t.ok(Math.max(...counts) <= REVIEW_DECISIONS, counts.join(" "));
});
