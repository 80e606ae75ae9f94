// Rules, and the objects that they name: what is named exists, no group contains itself, a prefix is a network.

import { OBJECT_EXPANDED } from "../../limits.ts";
import type { Prefix } from "../../plan.ts";
import { formatPrefix, networkOf, parsePrefixOrAddress, sameBytes } from "./addresses.ts";
import { addressObjects, expand, loopFrom, membersOf, type ObjectKind, serviceObjects } from "./objects.ts";
import { quote, type Report } from "./problems.ts";
import type { Configuration, ZoneConfiguration } from "./schema.ts";
import { parseService } from "./services.ts";

/** Could it be meant as an object's name? Services have names too: a slash tells. */
const NAME_LIKE = /^[A-Za-z][A-Za-z0-9_.-]*$/;
const NAMES_LISTED = 20;

/** How the plain members of a kind of objects are read, and where its parts stand. */
interface Kind {
  readonly objects: ObjectKind;
  readonly plainKey: string;
  readonly groupKey: string;
  readonly what: string;
  check(text: string, at: string, report: Report): void;
}

function addressKind(configuration: Configuration): Kind {
  return {
    objects: addressObjects(configuration),
    plainKey: "addresses",
    groupKey: "addressGroups",
    what: "address",
    check: (text, at, report) => checkNetwork(text, parsePrefixOrAddress(text), at, report),
  };
}

function serviceKind(configuration: Configuration): Kind {
  return { objects: serviceObjects(configuration), plainKey: "services", groupKey: "serviceGroups", what: "service", check: checkService };
}

/** Objects by themselves, whether a rule names them or not. */
export function checkObjects(configuration: Configuration, report: Report): void {
  for (const kind of [addressKind(configuration), serviceKind(configuration)]) {
    for (const [name, members] of Object.entries(kind.objects.plain)) {
      const at = `/objects/${kind.plainKey}/${name}`;
      checkName(kind, name, at, report);
      members.forEach((text, k) => {
        kind.check(text, `${at}/${k}`, report);
      });
    }
    for (const [name, members] of Object.entries(kind.objects.groups)) checkGroup(kind, name, members, report);
  }
}

function checkName(kind: Kind, name: string, at: string, report: Report): void {
  if (kind.what === "service" && parseService(name) !== undefined)
    report("reserved-name", at, `${quote(name)} is a service already, without an object`, "Give the object another name.");
}

function checkGroup(kind: Kind, name: string, members: readonly string[], report: Report): void {
  const at = `/objects/${kind.groupKey}/${name}`;
  checkName(kind, name, at, report);
  if (Object.hasOwn(kind.objects.plain, name))
    report("duplicate-name", at, `there is an object ${quote(name)} in objects.${kind.plainKey} already`, "Give one of the two another name.");
  members.forEach((member, k) => {
    if (membersOf(kind.objects, member) === undefined) unknownObject(kind, member, `${at}/${k}`, report);
  });
  const loop = loopFrom(kind.objects, name);
  if (loop.length > 0) report("group-loop", at, `the group contains itself: ${loop.join(" → ")}`, "Remove one of these from the group that names it.");
  const count = expand(kind.objects, [name]).length;
  if (count > OBJECT_EXPANDED)
    report("wrong-count", at, `with all groups in it, it comes to ${count} entries, and may have ${OBJECT_EXPANDED}`, "Split it, or name networks.");
}

function unknownObject(kind: Kind, name: string, at: string, report: Report): void {
  const known = [...Object.keys(kind.objects.plain), ...Object.keys(kind.objects.groups)];
  const listed = known.length > NAMES_LISTED ? `${known.slice(0, NAMES_LISTED).join(", ")}, …` : known.join(", ");
  const remedy = known.length === 0 ? `Add it to objects.${kind.plainKey}.` : `Name one of ${listed}, or add it to objects.${kind.plainKey}.`;
  report("unknown-object", at, `there is no ${kind.what} object ${quote(name)}`, remedy);
}

/** A text of a rule: the name of an object, or what an object would hold. */
function checkNamed(kind: Kind, text: string, at: string, report: Report): void {
  if (membersOf(kind.objects, text) !== undefined) return;
  if (NAME_LIKE.test(text) && (kind.what === "address" || parseService(text) === undefined)) unknownObject(kind, text, at, report);
  else kind.check(text, at, report);
}

export function checkPolicy(configuration: Configuration, report: Report): void {
  const addresses = addressKind(configuration);
  const services = serviceKind(configuration);
  configuration.policy.forEach((rule, k) => {
    const at = `/policy/${k}`;
    for (const key of ["from", "to"] as const) {
      for (const [n, zone] of rule[key].entries()) zoneNamed(configuration, zone, `${at}/${key}/${n}`, report);
    }
    for (const key of ["source", "destination"] as const) {
      for (const [n, text] of rule[key].entries()) checkNamed(addresses, text, `${at}/${key}/${n}`, report);
    }
    rule.service.forEach((text, n) => {
      checkNamed(services, text, `${at}/service/${n}`, report);
    });
  });
}

function checkService(text: string, at: string, report: Report): void {
  if (parseService(text) !== undefined) return;
  report("wrong-service", at, `not a service (found ${quote(text)})`, "Write tcp/443, udp/1024-65535, icmp/8, icmpv6/3/0 or protocol/47, or name an object.");
}

/** A network: host bits clear. */
export function checkNetwork(text: string, prefix: Prefix | undefined, at: string, report: Report): void {
  if (prefix === undefined) {
    report("wrong-prefix", at, `not a prefix (found ${quote(text)})`, "Write it as 10.1.0.0/24 or 2001:db8::/64; at most /32 and /128.");
    return;
  }
  const network = networkOf(prefix);
  if (sameBytes(network, prefix.bytes)) return;
  const meant = formatPrefix({ bytes: network, prefixBits: prefix.prefixBits });
  report("wrong-prefix", at, `bits are set behind the prefix length (found ${quote(text)})`, `Write ${meant}, or the address alone.`);
}

/** A zone by name; reports one that is not there. */
export function zoneNamed(configuration: Configuration, name: string, at: string, report: Report): ZoneConfiguration | undefined {
  const zone = configuration.zones.find((candidate) => candidate.name === name);
  if (zone === undefined)
    report("unknown-zone", at, `there is no zone ${quote(name)}`, `Name one of zones: ${configuration.zones.map((candidate) => candidate.name).join(", ")}.`);
  return zone;
}
