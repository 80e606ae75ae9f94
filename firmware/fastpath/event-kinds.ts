// Every event kind, once: a number, a name, a severity and a sentence. Numbers are stable, as drop reasons are: they lie in
// shared memory and in the event log. New kinds go to the end.
//
// A sentence names fields of the event row in braces; the reader puts names for numbers there: {unit} {port} {rule} {value}
// {flow} (zone, protocol, source, destination and ports) {source} {destination} {suppressed}; value as a name: {kind} {role} {other} (unit) {relief} {before} {after} (takeoverValue).

export const SEVERITY_NAMES = ["information", "notice", "warning", "error"] as const;
export type Severity = (typeof SEVERITY_NAMES)[number];

/** Why an active unit gives way, by number (twin/relief.ts). */
export const RELIEF_NAMES = ["no reason", "its mate is healthier", "its mate has the higher priority", "an operator ordered it"] as const;

const KINDS = [
  ["none", "information", "Nothing."],
  ["started", "notice", "The dataplane opened its ports, {value} ms after its start."],
  ["stopped", "notice", "The dataplane stopped on request."],
  ["port-up", "notice", "Port {port} is up."],
  ["port-down", "warning", "Port {port} is down."],
  ["port-gone", "error", "The device of port {port} was removed; it is reopened when it returns."],
  ["peer-associated", "notice", "Keys with {unit} are agreed."],
  ["peer-lost", "warning", "The association with {unit} is lost."],
  ["peer-dead", "error", "{unit} is dead: silent on every path for {value} ms."],
  ["peer-partitioned", "error", "{unit} cannot be reached, but it may live: partitioned."],
  ["peer-alive", "notice", "{unit} is alive."],
  ["role-changed", "notice", "This unit is now {role}."],
  ["succession", "warning", "{unit} took over from {other}."],
  ["adopted", "notice", "This unit adopted {value} sessions of {unit}."],
  ["sweep-begin", "information", "A sweep of {value} sessions to {unit} begins."],
  ["sweep-end", "information", "The sweep to {unit} ended; it acknowledged {value} sessions."],
  ["digests-equal", "information", "The tables of this unit and {unit} are proven equal."],
  ["digests-differ", "warning", "{value} buckets differ between this unit and {unit}; they are swept again."],
  ["rejoin-begin", "notice", "This unit rejoins and emits nothing until its peers have caught it up."],
  ["rejoin-end", "notice", "This unit rejoined after {value} ms."],
  ["rule-permit", "information", "Rule {rule} permits {flow}."],
  ["rule-deny", "notice", "Rule {rule} denies {flow}."],
  ["default-deny", "notice", "No rule permits {flow}."],
  ["table-full", "error", "The session table is full: {flow} is dropped."],
  ["key-rejected", "error", "A greeting of {unit} failed its authentication: it is not paired with this unit, or somebody else is on the link."],
  ["agreement-differs", "error", "{unit} is configured differently in what both sites must agree on: no association."],
  ["backlog-discarded", "warning", "{value} packets that waited while this unit could not judge were discarded."],
  ["rows-adopted", "notice", "The dataplane adopted {value} sessions that it found in memory."],
  ["rows-damaged", "warning", "{value} session rows were damaged by a crash in mid-write; they are asked for from peers."],
  ["rows-restored", "notice", "{value} sessions were restored from the last checkpoint."],
  ["conflict-resolved", "notice", "Both sites had created {flow}; one session remains, owned by {unit}."],
  ["refused", "warning", "{unit} refused sessions: its table is full."],
  ["half-open-limit", "warning", "The half-open limit is reached: {flow} is dropped."],
  ["loop-gap", "warning", "The dataplane stood still for {value} us."],
  ["frames-rejected", "warning", "{value} twin frames of {unit} were replayed, forged or corrupted."],
  ["path-up", "notice", "The path to {unit} through port {port} works both ways."],
  ["path-down", "warning", "The path to {unit} through port {port} does not work any more."],
  ["neighbour-failed", "notice", "{destination} does not answer address resolution on port {port}."],
  ["fail-closed", "error", "This unit passes nothing: it failed {value} times in a row."],
  ["events-suppressed", "information", "{suppressed} more events of kind {kind} were left out."],
  ["gives-way", "notice", "This unit gives way to {unit}: {relief}."],
  ["takeover", "warning", "Took over from {unit}: silent for {before} ms when that was decided, the first packet left {after} ms later."],
] as const satisfies readonly (readonly [string, Severity, string])[];

/** Of a takeover, both durations in one number, to 10 us. */
export function takeoverValue(silentMicros: number, firstPacketMicros: number): number {
  const tens = (micros: number): number => Math.min(Math.round(micros / 10), TAKEOVER_RADIX - 1);
  return tens(silentMicros) * TAKEOVER_RADIX + tens(firstPacketMicros);
}
/** Milliseconds from the last sign of life to the decision, and from there to the first packet. */
export function takeoverMillis(value: number): readonly [number, number] {
  return [Math.floor(value / TAKEOVER_RADIX) / 100, (value % TAKEOVER_RADIX) / 100];
}
const TAKEOVER_RADIX = 2 ** 24;

export type EventName = (typeof KINDS)[number][0];
export const EVENT_NAMES: readonly EventName[] = KINDS.map(([name]) => name);
export const EVENT_SEVERITIES: readonly Severity[] = KINDS.map(([, severity]) => severity);
export const EVENT_SENTENCES: readonly string[] = KINDS.map(([, , sentence]) => sentence);

/** Number of an event kind; for module-level constants. */
export function eventKind(name: EventName): number {
  return EVENT_NAMES.indexOf(name);
}
