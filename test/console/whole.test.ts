// The whole firewall in one sentence.

import { test } from "tap";
import { peerSentence } from "../../firmware/manager/console/status.ts";
import { wholeSentence } from "../../firmware/manager/console/whole.ts";

const own = { unit: "A1", role: "active", passive_sites: 0, exposed_unit: 0, exposed_site: 0, exposed_link: 0 };
const peer = (unit: string, role: string, more: Readonly<Record<string, string | number>> = {}) => ({ unit, role, state: "alive", ...more });

test("four units in order, and nothing to lose", async (t) => {
  t.equal(
    wholeSentence(own, [peer("A2", "standby"), peer("B1", "active"), peer("B2", "standby")]),
    "A1 and B1 are active, A2 and B2 stand by; if it failed now, no session would be lost with any unit or site.",
  );
});

test("what is wrong, and what would be lost with it", async (t) => {
  t.equal(
    wholeSentence({ ...own, exposed_unit: 1, exposed_site: 12, exposed_link: 3 }, [
      peer("A2", "standby", { behind: 1 }),
      peer("B1", "active", { exposed_site: 4, exposed_link: 2, ports_down: 1 }),
      peer("B2", "standby", { state: "dead" }),
    ]),
    "A1 and B1 are active, A2 stands by, B2 is dead, A2 is not yet synchronised, B1 has ports down; if it failed now, 1 session with A1, 12 with site A and 4 with site B would be lost, and 5 sessions would stop without the link between the sites.",
  );
});

test("what ails several is said once", async (t) => {
  t.equal(
    wholeSentence({ ...own, twin_lost: 1 }, [
      peer("A2", "standby", { twin_lost: 1, drained: 1 }),
      peer("B1", "active", { state: "partitioned" }),
      peer("B2", "standby", { state: "partitioned" }),
    ]),
    "A1 is active, A2 stands by, B1 and B2 are partitioned, A2 is drained, A1 and A2 have lost the twin link; if it failed now, no session would be lost with any unit or site.",
  );
});

test("a site that stands by is named", async (t) => {
  t.equal(
    wholeSentence({ ...own, passive_sites: 2 }, [peer("B1", "active")]),
    "A1 and B1 are active, site B stands by; if it failed now, no session would be lost with any unit or site.",
  );
});

test("a twin link that is down while the other one works is said, of the whole and of the peer", async (t) => {
  const cut = { ...peer("B1", "active"), twin_path: 2 };
  t.match(wholeSentence(own, [cut]), /A1 and B1 are active, one of two twin links to B1 is down; if it failed now/);
  t.match(peerSentence({ ...cut, associated: 1, lag_rows: 0, digests_equal: 1, round_trip_micros: 400 }, 10), /; one of two twin links is down\.$/);
});
