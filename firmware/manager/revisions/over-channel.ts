// The desk's messages over the control channel: names become unit numbers, and what a peer sends is looked at before it is believed. A
// peer is paired and authentic; it may still run another version, or be broken.

import Type, { type TSchema } from "typebox";
import Value from "typebox/value";
import type { PlannedPeer } from "../../plan.ts";
import type { Log } from "../log.ts";
import type { ControlChannel } from "../peers/control-channel.ts";
import { type AuditMessage, type AuditShare, readAuditMessage } from "./audit-share.ts";
import type { Desk } from "./desk.ts";
import type { Message } from "./messages.ts";

const KIND = "configuration";
const TEXT_MOST = 1_000;
const UNITS_MOST = 8;

const Hash = Type.String({ pattern: "^[0-9a-f]{64}$" });
const HashOrNone = Type.String({ pattern: "^([0-9a-f]{64})?$" });
const Text = Type.String({ maxLength: TEXT_MOST });
const Units = Type.Array(Text, { maxItems: UNITS_MOST });
const Count = Type.Integer({ minimum: 0 });

const Revision = Type.Object({
  number: Count,
  hash: Hash,
  parent: HashOrNone,
  merged: HashOrNone,
  documentHash: Hash,
  document: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  atMillis: Count,
  who: Text,
  origin: Text,
  comment: Text,
});
const Head = Type.Object({
  hash: HashOrNone,
  number: Count,
  unconfirmed: Type.Optional(Type.Object({ leftMillis: Type.Number({ minimum: 0 }), participants: Units })),
});
const Proposal = Type.Object({ id: Text, coordinator: Text, revision: Revision, participants: Units, confirmMillis: Count });
const Refusal = Type.Object({ code: Text, reasons: Type.Array(Type.String()) });

const SHAPES: Readonly<Record<Message["kind"], TSchema>> = {
  head: Type.Object({ head: Head }),
  want: Type.Object({ hash: Hash }),
  revision: Type.Object({ revision: Revision, head: Head }),
  prepare: Type.Object({ proposal: Proposal }),
  answer: Type.Object({ id: Text, refusal: Type.Optional(Refusal) }),
  decide: Type.Object({ id: Text, commit: Type.Boolean(), hash: Hash }),
  applied: Type.Object({ id: Text }),
  ask: Type.Object({ id: Text, coordinator: Text, hash: Hash }),
};

/** A message as a peer wrote it; undefined when it is none. */
export function readMessage(value: unknown): Message | undefined {
  const { kind } = (typeof value === "object" && value !== null ? value : {}) as { readonly kind?: unknown };
  const shape = typeof kind === "string" && Object.hasOwn(SHAPES, kind) ? SHAPES[kind as Message["kind"]] : undefined;
  return shape !== undefined && Value.Check(shape, value) ? (value as Message) : undefined;
}

/** Joins the desk to the units that the channel reaches. Returns the audit log's part, which has to be ticked. */
export function joinOverChannel(desk: Desk, channel: ControlChannel, peers: readonly PlannedPeer[], log: Log): AuditShare {
  const nameOf = (unit: number): string | undefined => peers.find((peer) => peer.unit === unit)?.name;
  const numberOf = (name: string): number => peers.find((peer) => peer.name === name)?.unit ?? 0;
  const reachable = (): readonly string[] => channel.reachable.flatMap((unit) => nameOf(unit) ?? []);
  const send = (to: string, message: Message | AuditMessage): void => void channel.send(numberOf(to), { kind: KIND, message });
  desk.join({ reachable, send });
  const audit = desk.shareAudit(reachable, send);
  channel.on(KIND, (from, { message }) => {
    const name = nameOf(from);
    if (name === undefined) return;
    const read = readMessage(message);
    const lines = readAuditMessage(message);
    if (read !== undefined) desk.receive(name, read);
    else if (lines !== undefined) audit.receive(name, lines);
    else log.note("warning", "configuration-message", `${name} sent something about the configuration that this version does not understand.`);
  });
  channel.watch((unit, isUp) => {
    const name = nameOf(unit);
    if (isUp && name !== undefined) desk.member.greet(name);
  });
  return audit;
}
