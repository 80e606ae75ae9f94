// Every message that a wrong configuration gets: code, path, line, and a remedy.

import { readFileSync } from "node:fs";
import { test } from "tap";
import { board as lab } from "../../board/lab.ts";
import { loadConfiguration, parseConfiguration } from "../../firmware/manager/config/load.ts";
import { buildPlan } from "../../firmware/manager/config/plan.ts";
import { ConfigurationError, formatProblem, type Problem } from "../../firmware/manager/config/problems.ts";

const EXAMPLE = new URL("../../firmware/manager/config/example.json", import.meta.url).pathname;

// biome-ignore lint/suspicious/noExplicitAny: tests damage the example in every way
type Loose = any;

function example(): Loose {
  return JSON.parse(readFileSync(EXAMPLE, "utf8"));
}

/** Problems of a text, the board's and the plan's included; empty when all is well. */
function problemsOf(text: string): readonly Problem[] {
  try {
    buildPlan(parseConfiguration(text, "test.json"), lab, "A1");
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

/** Problems of the example after a change. */
function damaged(change: (configuration: Loose) => void): readonly Problem[] {
  const configuration = example();
  change(configuration);
  return problemsOf(JSON.stringify(configuration, null, 2));
}

function codes(problems: readonly Problem[]): readonly string[] {
  return problems.map((problem) => `${problem.path}: ${problem.code}`);
}

test("the example is valid", async (t) => {
  const { configuration } = loadConfiguration(EXAMPLE);
  t.equal(configuration.twin.heartbeatMillis, 20, "defaults are filled in");
  t.same(
    configuration.zones.map((zone) => zone.name),
    ["one", "three"],
  );
});

test("one wrong thing gives one message, with a stable code, the key's path and a remedy", async (t) => {
  const cases: readonly [string, string, (c: Loose) => void][] = [
    [
      "MTU whose frames packet memory cannot hold",
      "ports.port1.mtuBytes: out-of-range",
      (c) => {
        c.ports = { port1: { mtuBytes: 1_709 } };
      },
    ],
    [
      "unknown key",
      "zones[1].vlam: unknown-key",
      (c) => {
        c.zones[1].vlam = 3;
      },
    ],
    [
      "missing key",
      "policy[0].action: missing-key",
      (c) => {
        delete c.policy[0].action;
      },
    ],
    [
      "wrong type",
      "sessions: wrong-type",
      (c) => {
        c.sessions = "many";
      },
    ],
    [
      "value that is not on the list",
      "mode: not-allowed",
      (c) => {
        c.mode = "bridged";
      },
    ],
    [
      "value out of range",
      "zones[0].vlan: out-of-range",
      (c) => {
        c.zones[0].vlan = 4095;
      },
    ],
    [
      "capacity that is no power of two",
      "sessions: out-of-range",
      (c) => {
        c.sessions = 100_000;
      },
    ],
    [
      "name with a space",
      "zones[0].name: wrong-form",
      (c) => {
        c.zones[0].name = "zone one";
        c.policy = [];
        c.routes = [];
        c.twin = {};
      },
    ],
    [
      "no zone at all",
      "zones: wrong-count",
      (c) => {
        c.zones = [];
      },
    ],
    [
      "two zones of one name",
      "zones[1].name: duplicate-name",
      (c) => {
        c.zones[1].name = "one";
        c.policy = [];
      },
    ],
    [
      "unknown zone in a rule",
      "policy[0].from[0]: unknown-zone",
      (c) => {
        c.policy[0].from = ["two"];
      },
    ],
    [
      "unknown zone in a route",
      "routes[0].zone: unknown-zone",
      (c) => {
        c.routes[0].zone = "two";
      },
    ],
    [
      "overlapping ports",
      "zones[1]: overlapping-ports",
      (c) => {
        c.zones[1].port = "port1";
      },
    ],
    [
      "overlapping ports on one unit only",
      "zones[1]: overlapping-ports",
      (c) => {
        c.zones[1].ports = { B1: "port1" };
      },
    ],
    [
      "port that the board lacks",
      "zones[1].port: unknown-port",
      (c) => {
        c.zones[1].port = "port7";
      },
    ],
    [
      "zone on the twin port",
      "zones[1].port: unknown-port",
      (c) => {
        c.zones[1].port = "twin";
      },
    ],
    [
      "zone without a port",
      "zones[1].port: missing-key",
      (c) => {
        delete c.zones[1].port;
        c.zones[1].ports = { A1: "port2" };
      },
    ],
    [
      "prefix with host bits",
      "routes[0].prefix: wrong-prefix",
      (c) => {
        c.routes[0].prefix = "10.9.0.1/24";
      },
    ],
    [
      "prefix that is too long",
      "policy[3].source[0]: wrong-prefix",
      (c) => {
        c.policy[3].source = ["10.1.0.0/33"];
      },
    ],
    [
      "site address without a prefix length",
      "zones[0].sites.A.addresses[0]: wrong-prefix",
      (c) => {
        c.zones[0].sites.A.addresses[0] = "10.1.0.2";
        c.zones[0].gateway = {};
        c.routes = [];
        c.twin = {};
      },
    ],
    [
      "site address that names its network",
      "zones[0].sites.A.addresses[0]: wrong-address",
      (c) => {
        c.zones[0].sites.A.addresses[0] = "10.1.0.0/24";
        c.zones[0].gateway = {};
        c.routes = [];
        c.twin = {};
      },
    ],
    [
      "zone without a site address",
      "zones[0].sites.B.addresses: no-site-address",
      (c) => {
        c.zones[0].sites.B.addresses = [];
        c.routes = [];
        c.twin = {};
      },
    ],
    [
      "IPv6 gateway without an IPv6 site address",
      "zones[0].sites.B.addresses: no-site-address",
      (c) => {
        c.zones[0].sites.B.addresses.pop();
      },
    ],
    [
      "gateway outside the site's network",
      "zones[0].gateway.addresses[0]: gateway-outside-prefix",
      (c) => {
        c.zones[0].gateway.addresses[0] = "10.2.0.1/24";
        c.sites = ["A"];
        c.units.pop();
        delete c.zones[0].sites.B;
        delete c.zones[1].sites.B;
      },
    ],
    [
      "address given twice",
      "zones[0].sites.B.addresses[0]: duplicate-address",
      (c) => {
        c.zones[0].sites.B.addresses[0] = "10.1.0.2/24";
      },
    ],
    [
      "multicast Ethernet address",
      "zones[0].gateway.mac: wrong-address",
      (c) => {
        c.zones[0].gateway.mac = "01:00:5e:00:00:01";
      },
    ],
    [
      "route through a router that is not near",
      "routes[0].via: unreachable-next-hop",
      (c) => {
        c.routes[0].via = "10.2.0.254";
        c.sites = ["A"];
        c.units.pop();
        delete c.zones[0].sites.B;
        delete c.zones[1].sites.B;
      },
    ],
    [
      "route through the firewall itself",
      "routes[0].via: unreachable-next-hop",
      (c) => {
        c.routes[0].via = "10.1.0.1";
      },
    ],
    [
      "route whose next hop is of the other IP version",
      "routes[0].via: wrong-address",
      (c) => {
        c.routes[0].prefix = "2001:db8::/32";
      },
    ],
    [
      "object that does not exist",
      "policy[0].destination[0]: unknown-object",
      (c) => {
        c.policy[0].destination = ["servers"];
      },
    ],
    [
      "group that names nothing",
      "objects.addressGroups.servers[0]: unknown-object",
      (c) => {
        c.objects = { addressGroups: { servers: ["web"] } };
      },
    ],
    [
      "object whose prefix has host bits",
      "objects.addresses.web[0]: wrong-prefix",
      (c) => {
        c.objects = { addresses: { web: ["10.3.0.1/24"] } };
      },
    ],
    [
      "object called as a service is",
      "objects.services.tcp: reserved-name",
      (c) => {
        c.objects = { services: { tcp: ["tcp/1"] } };
      },
    ],
    [
      "group called as an object is",
      "objects.serviceGroups.web: duplicate-name",
      (c) => {
        c.objects = { services: { web: ["tcp/80"], other: ["tcp/81"] }, serviceGroups: { web: ["other"] } };
      },
    ],
    [
      "object without members",
      "objects.addresses.web: wrong-count",
      (c) => {
        c.objects = { addresses: { web: [] } };
      },
    ],
    [
      "service that does not exist",
      "policy[0].service[0]: unknown-object",
      (c) => {
        c.policy[0].service[0] = "http";
      },
    ],
    [
      "peer that is the unit itself",
      "units[0].peers[0]: self-peer",
      (c) => {
        c.units[0].peers = ["A1"];
      },
    ],
    [
      "peer that is no unit",
      "units[0].peers[0]: unknown-unit",
      (c) => {
        c.units[0].peers = ["B2"];
      },
    ],
    [
      "unit of an unknown site",
      "units[1].site: unknown-site",
      (c) => {
        c.units[1].site = "C";
      },
    ],

    [
      "gateway on a wire",
      "zones[0].gateway.addresses: gateway-in-transparent",
      (c) => {
        c.mode = "transparent";
        c.zones[1].gateway = {};
      },
    ],
    [
      "second monitored address in one zone",
      "twin.monitored[1].zone: duplicate-name",
      (c) => {
        c.twin.monitored.push({ zone: "one", address: "10.1.0.253" });
      },
    ],
  ];
  for (const [what, expected, change] of cases) {
    const problems = damaged(change);
    t.same(codes(problems), [expected], what);
    for (const problem of problems) t.ok(problem.line > 0 && problem.message.length > 10 && problem.remedy.length > 5, `${what}: line, message and remedy`);
  }
});

test("all problems are reported at once", async (t) => {
  const problems = damaged((c) => {
    c.policy[0].to = ["nowhere"];
    c.routes[0].prefix = "10.9.0.9/24";
    c.zones[1].port = "port1";
    c.zones[0].sites.B = {};
  });
  t.same(
    codes(problems).toSorted(),
    [
      "policy[0].to[0]: unknown-zone",
      "routes[0].prefix: wrong-prefix",
      "routes[0].via: unreachable-next-hop",
      "twin.monitored[0].address: unreachable-next-hop",
      "zones[0].sites.B.addresses: no-site-address",
      "zones[1]: overlapping-ports",
    ].toSorted(),
  );
});

test("a message names file, line, path, what was found and what to do", async (t) => {
  const text =
    '{\n  "system": { "name": "x" },\n  "sites": ["A"],\n  "units": [{ "site": "A", "index": 1 }],\n  "zones": [\n    { "name": "one",\n      "prot": "port1" }\n  ]\n}\n';
  t.same(problemsOf(text).map(formatProblem), [
    'test.json:7: zones[0].prot: the key is not known (found "port1") [unknown-key]\n  Correct or remove it; known here: name, port, ports, vlan, gateway, sites.',
  ]);
});

test("bad JSON is reported with its line", async (t) => {
  const cases: readonly [string, number, string][] = [
    ['{\n  "a": 1,\n}', 3, 'a key in double quotes is missing; found "}"'],
    ['{\n  "a": 1\n  "b": 2\n}', 3, '"," is missing; found'],
    ['{ "a": tru }', 1, 'a value is missing; found "tru }"'],
    ['{ "a": "x\n" }', 1, "a string does not end on its line"],
    ["", 1, "a value is missing; found the end of the file"],
    ["{} x", 1, 'something follows the end: "x"'],
    [`${"[".repeat(40)}`, 1, "nested deeper"],
  ];
  for (const [text, line, message] of cases) {
    const [problem] = problemsOf(text);
    t.match(problem, { code: "json-syntax", line, file: "test.json" }, JSON.stringify(text));
    t.ok(problem?.message.startsWith(message), `${problem?.message}`);
  }
});

test("a key that is written twice is refused", async (t) => {
  t.match(problemsOf('{\n  "mode": "routed",\n  "mode": "transparent"\n}')[0], { code: "duplicate-key", line: 3, path: "mode", message: /first on line 2/ });
});

test("a file that is not there is named", async (t) => {
  t.throws(() => loadConfiguration("/nowhere/twinwall.json"), {
    message: /nowhere\/twinwall.json: the configuration file cannot be read: ENOENT \[absent-file\]/,
  });
});

test("a key called __proto__ is unknown like any other", async (t) => {
  t.same(
    problemsOf('{ "__proto__": {}, "sites": [], "units": [], "zones": [], "system": { "name": "x" } }')
      .map((p) => p.code)
      .includes("unknown-key"),
    true,
  );
});

test("groups in a loop are told with the way round", async (t) => {
  const problems = damaged((c) => {
    c.objects = { addresses: { web: ["10.3.0.9"] }, addressGroups: { one: ["two", "web"], two: ["three"], three: ["one"] } };
  });
  t.same(codes(problems), ["objects.addressGroups.one: group-loop", "objects.addressGroups.two: group-loop", "objects.addressGroups.three: group-loop"]);
  t.match(problems[0]?.message, "one → two → three → one");
});
