// Field lists: which words of a session row two units both know. Each unit names its replicated fields by hash in its
// greeting; rows then travel as the fields that both name, in the order of the lower-numbered unit. So two versions of the
// firmware that lay a row out differently still understand each other, and two equal ones copy words in order.

import { type Field, type Table, wordsOf } from "../fastpath/memory/layout.ts";

/** A field that another version may place elsewhere, but means the same by: name, type and parts. Signed 32 bits. */
function fieldHash(field: Field): number {
  const text = JSON.stringify([field.name, field.type, field.parts?.map((part) => [part.name, part.shift, part.bits])]);
  let hash = 0x811c9dc5;
  for (let k = 0; k < text.length; k++) hash = Math.imul(hash ^ text.charCodeAt(k), 0x01000193);
  return hash | 0;
}

/** This unit's replicated fields, in the order of the row. */
export class FieldList {
  readonly hashes: Int32Array;
  private readonly positions: readonly Int32Array[];

  /** Throws when two fields have one hash, or when there are more than a greeting holds. */
  constructor(table: Table) {
    const fields = table.fields.filter((field) => field.replicated === true).sort((one, other) => one.at - other.at);
    this.hashes = Int32Array.from(fields, fieldHash);
    this.positions = fields.map((field) => Int32Array.from({ length: wordsOf(field.type) }, (_, k) => field.at + k));
    if (new Set(this.hashes).size !== fields.length) throw new Error(`${table.name}: two replicated fields have the same hash; rename one`);
    if (fields.length > 255) throw new Error(`${table.name}: ${fields.length} replicated fields are more than a greeting can name`);
  }

  /** Word positions in this unit's row of the fields that the peer knows too. `theirs`: its hashes in its order. */
  commonWords(theirs: Int32Array, theirOrder: boolean): Int32Array {
    const order = theirOrder ? theirs : this.hashes;
    const known = new Set(theirOrder ? this.hashes : theirs);
    const words: number[] = [];
    for (const hash of order) if (known.has(hash)) words.push(...(this.positions[this.hashes.indexOf(hash)] as Int32Array));
    return Int32Array.from(words);
  }
}
