// An event as a sentence: its kind's template (fastpath/event-kinds.ts) with names put in for numbers.

import { EVENT_NAMES, EVENT_SENTENCES, EVENT_SEVERITIES, type EventName, RELIEF_NAMES, type Severity, takeoverMillis } from "../fastpath/event-kinds.ts";
import { ROLE_NAMES } from "../fastpath/memory/tables.ts";
import type { LiveNames } from "./live/views.ts";

/** A row of `live_events`. */
export interface EventRow {
  readonly sequence: number;
  readonly kind: string;
  readonly at: number;
  readonly source: string | null;
  readonly destination: string | null;
  readonly source_port: number;
  readonly destination_port: number;
  readonly protocol: number;
  readonly zone: number;
  readonly rule: number;
  readonly port: number;
  readonly unit: string;
  readonly value: number;
  readonly suppressed: number;
}

const PROTOCOL_NAMES: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6" };

export function protocolName(protocol: number): string {
  return PROTOCOL_NAMES[protocol] ?? `protocol ${protocol}`;
}

/** `10.1.0.10:443`, `[2001:db8::1]:443`; the address alone where there is no port. */
export function endpoint(address: string | null, port: number): string {
  if (address === null) return "?";
  if (port === 0) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function unitName(number: number, names: LiveNames): string {
  return names.units.find((unit) => unit.number === number)?.name ?? `unit ${number}`;
}

function flowOf(event: EventRow, names: LiveNames): string {
  const zone = names.zones.find((each) => each.number === event.zone)?.name ?? `zone ${event.zone}`;
  return `${protocolName(event.protocol)} ${endpoint(event.source, event.source_port)} → ${endpoint(event.destination, event.destination_port)} from ${zone}`;
}

/** The word that a template's `{name}` stands for. */
function wordOf(name: string, event: EventRow, names: LiveNames): string {
  switch (name) {
    case "unit":
      return event.unit === "none" ? "nobody" : event.unit;
    case "port":
      return names.ports.find((port) => port.number === event.port)?.name ?? String(event.port);
    case "rule":
      return names.rules.find((rule) => rule.number === event.rule)?.name ?? String(event.rule);
    case "flow":
      return flowOf(event, names);
    case "source":
      return event.source ?? "?";
    case "destination":
      return event.destination ?? "?";
    case "suppressed":
      return event.suppressed.toLocaleString("en");
    case "kind":
      return EVENT_NAMES[event.value] ?? String(event.value);
    case "role":
      return ROLE_NAMES[event.value] ?? String(event.value);
    case "before":
      return String(takeoverMillis(event.value)[0]);
    case "after":
      return String(takeoverMillis(event.value)[1]);
    case "relief":
      return RELIEF_NAMES[event.value] ?? String(event.value);
    case "other":
      return unitName(event.value, names);
    default:
      return event.value.toLocaleString("en");
  }
}

/** The event in words. A kind of another version is named as it is. */
export function eventSentence(event: EventRow, names: LiveNames): string {
  const template = EVENT_SENTENCES[EVENT_NAMES.indexOf(event.kind as EventName)];
  if (template === undefined) return `An event of kind ${event.kind}.`;
  const sentence = template.replace(/\{(\w+)\}/g, (_, name: string) => wordOf(name, event, names));
  const left = event.suppressed > 0 && !template.includes("{suppressed}") ? ` (${event.suppressed.toLocaleString("en")} more before it were left out)` : "";
  return sentence + left;
}

export function eventSeverity(kind: string): Severity {
  return EVENT_SEVERITIES[EVENT_NAMES.indexOf(kind as EventName)] ?? "information";
}
