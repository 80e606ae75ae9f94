// Objects: names that rules use instead of addresses and services. A group names objects and other groups; here they become what they
// stand for.
//
//   addressGroups.servers ─► addressGroups.web ─► addresses.web1 ─► 10.3.0.11
//                         └► addresses.db ─────────────────────────► 10.3.0.20/30

import type { PlannedService, Prefix } from "../../plan.ts";
import { parsePrefixOrAddress } from "./addresses.ts";
import type { Configuration } from "./schema.ts";
import { parseService } from "./services.ts";

type Lists = Readonly<Record<string, readonly string[]>>;

/** Objects of one kind: plain ones, and groups of them. */
export interface ObjectKind {
  readonly plain: Lists;
  readonly groups: Lists;
}

export function addressObjects({ objects }: Configuration): ObjectKind {
  return { plain: objects.addresses, groups: objects.addressGroups };
}

export function serviceObjects({ objects }: Configuration): ObjectKind {
  return { plain: objects.services, groups: objects.serviceGroups };
}

/** The members of an object or a group; undefined when there is none of the name. */
export function membersOf(kind: ObjectKind, name: string): readonly string[] | undefined {
  if (Object.hasOwn(kind.plain, name)) return kind.plain[name];
  return Object.hasOwn(kind.groups, name) ? kind.groups[name] : undefined;
}

/** The way from group `name` back to itself, both ends named; empty when there is none. */
export function loopFrom(kind: ObjectKind, name: string): readonly string[] {
  const seen = new Set<string>();
  const walk = (at: string): readonly string[] => {
    for (const member of Object.hasOwn(kind.groups, at) ? (kind.groups[at] as readonly string[]) : []) {
      if (member === name) return [at, member];
      if (seen.has(member)) continue;
      seen.add(member);
      const rest = walk(member);
      if (rest.length > 0) return [at, ...rest];
    }
    return [];
  };
  return walk(name);
}

/** The texts that names come to, each once. Names that are not known stay as they are; a loop is walked once. */
export function expand(kind: ObjectKind, texts: readonly string[]): readonly string[] {
  const found = new Set<string>();
  const seen = new Set<string>();
  const walk = (names: readonly string[]): void => {
    for (const name of names) {
      const members = membersOf(kind, name);
      if (members === undefined) found.add(name);
      else if (!seen.has(name)) {
        seen.add(name);
        walk(members);
      }
    }
  };
  walk(texts);
  return [...found];
}

/** Reads what rules name, of a configuration that was checked. What one list comes to is worked out once. */
export class ObjectBook {
  private readonly configuration: Configuration;
  private readonly addressLists = new Map<string, readonly Prefix[]>();
  private readonly serviceLists = new Map<string, readonly PlannedService[]>();

  constructor(configuration: Configuration) {
    this.configuration = configuration;
  }

  addresses(texts: readonly string[]): readonly Prefix[] {
    return remembered(this.addressLists, texts, () => read(expand(addressObjects(this.configuration), texts), parsePrefixOrAddress));
  }

  services(texts: readonly string[]): readonly PlannedService[] {
    return remembered(this.serviceLists, texts, () => read(expand(serviceObjects(this.configuration), texts), parseService));
  }
}

function read<T>(texts: readonly string[], parse: (text: string) => T | undefined): readonly T[] {
  return texts.map((text) => {
    const value = parse(text);
    if (value === undefined) throw new Error(`the configuration was not checked before its objects were read (${text})`);
    return value;
  });
}

function remembered<T>(known: Map<string, readonly T[]>, texts: readonly string[], make: () => readonly T[]): readonly T[] {
  const key = texts.join(" ");
  const old = known.get(key);
  if (old !== undefined) return old;
  const list = make();
  known.set(key, list);
  return list;
}
