// The audit log on all units: each says now and then up to which line it has each unit's, and whoever has more sends it. So lines also
// come by way of a third unit, and one that was away gets what it missed.
//
//   audit-have ── { A1: 41, B1: 7 } ──►            ◄── audit-lines ── A1's from 42 on …

import Type from "typebox";
import Value from "typebox/value";
import { AUDIT_SHARE_LINES, AUDIT_SHARE_MILLIS } from "../../limits.ts";
import type { AuditLine, RevisionStore } from "./store.ts";

const UNIT_MOST = 32;
const TEXT_MOST = 8_192;

const Have = Type.Object({ kind: Type.Literal("audit-have"), have: Type.Record(Type.String({ maxLength: UNIT_MOST }), Type.Integer({ minimum: 0 })) });
const Lines = Type.Object({
  kind: Type.Literal("audit-lines"),
  lines: Type.Array(
    Type.Object({
      unit: Type.String({ maxLength: UNIT_MOST }),
      sequence: Type.Integer({ minimum: 1 }),
      atMillis: Type.Integer({ minimum: 0 }),
      who: Type.String({ maxLength: TEXT_MOST }),
      origin: Type.String({ maxLength: TEXT_MOST }),
      what: Type.String({ maxLength: TEXT_MOST }),
    }),
    { maxItems: AUDIT_SHARE_LINES },
  ),
});

export type AuditMessage =
  | { readonly kind: "audit-have"; readonly have: Readonly<Record<string, number>> }
  | { readonly kind: "audit-lines"; readonly lines: readonly AuditLine[] };

/** A message as a peer wrote it; undefined when it is none. */
export function readAuditMessage(value: unknown): AuditMessage | undefined {
  return Value.Check(Have, value) || Value.Check(Lines, value) ? (value as AuditMessage) : undefined;
}

export interface AuditShareOptions {
  readonly store: RevisionStore;
  reachable(): readonly string[];
  send(to: string, message: AuditMessage): void;
  /** Monotonic. */
  nowMillis(): number;
}

export class AuditShare {
  private readonly options: AuditShareOptions;
  private dueMillis = 0;

  constructor(options: AuditShareOptions) {
    this.options = options;
  }

  /** To be called often. */
  tick(): void {
    const { nowMillis, reachable } = this.options;
    if (nowMillis() < this.dueMillis) return;
    this.dueMillis = nowMillis() + AUDIT_SHARE_MILLIS;
    for (const peer of reachable()) this.say(peer);
  }

  receive(from: string, message: AuditMessage): void {
    const { store, send } = this.options;
    if (message.kind === "audit-lines") {
      store.takeAudit(message.lines);
      // There may be more where these came from.
      if (message.lines.length === AUDIT_SHARE_LINES) this.say(from);
      return;
    }
    const lines: AuditLine[] = [];
    for (const [unit, last] of Object.entries(store.auditHeads())) {
      const known = Object.hasOwn(message.have, unit) ? (message.have[unit] as number) : 0;
      if (last > known) lines.push(...store.auditFrom(unit, known + 1, AUDIT_SHARE_LINES - lines.length));
    }
    if (lines.length > 0) send(from, { kind: "audit-lines", lines });
  }

  private say(peer: string): void {
    this.options.send(peer, { kind: "audit-have", have: this.options.store.auditHeads() });
  }
}
