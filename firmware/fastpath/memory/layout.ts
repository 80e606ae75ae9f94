// A table is declared once, as a list of fields. From that list derive: word offsets for the fastpath, the twin's record
// codec, the SQL columns, the C header of the virtual table, and the documentation. A hash over the list guards
// adoption: rows written by another layout are never read.
//
// A row is a fixed number of 32-bit words. What comes from packets (addresses, ports) lies in network byte order, as it
// lay in the packet; everything else is the machine's own order.

/**
 * How a field lies in its words.
 *   i32, u32   one word        f64   two words, aligned      address   four words, 16 bytes in network order
 *   ports      one word: source port, destination port, each in network order
 *   parts      one word, cut into bit fields
 */
export type FieldType = "i32" | "u32" | "f64" | "address" | "ports" | "parts";

export interface Part {
  readonly name: string;
  readonly shift: number;
  readonly bits: number;
  readonly doc: string;
  /** What the values are called, by number; they become text in SQL. */
  readonly names?: readonly string[];
}

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  /** First word in the row. */
  readonly at: number;
  readonly unit?: string;
  /** Sent to peers. */
  readonly replicated?: boolean;
  readonly parts?: readonly Part[];
  /** What an i32's values are called, by number; they become text in SQL. */
  readonly names?: readonly string[];
  readonly doc: string;
}

export interface Table {
  readonly name: string;
  readonly doc: string;
  readonly strideWords: number;
  readonly fields: readonly Field[];
}

const WORDS: Readonly<Record<FieldType, number>> = { i32: 1, u32: 1, f64: 2, address: 4, ports: 1, parts: 1 };

export function wordsOf(type: FieldType): number {
  return WORDS[type];
}

/** Checks a declaration (no overlap, alignment, inside the stride) and returns it. Throws on a wrong one. */
export function defineTable(table: Table): Table {
  const taken = new Map<number, string>();
  for (const field of table.fields) {
    if (field.type === "f64" && field.at % 2 !== 0) throw new Error(`${table.name}.${field.name}: an f64 starts at an even word`);
    if (field.type === "parts" && field.parts === undefined) throw new Error(`${table.name}.${field.name}: parts are missing`);
    for (let word = field.at; word < field.at + wordsOf(field.type); word++) {
      if (word >= table.strideWords) throw new Error(`${table.name}.${field.name}: outside the row of ${table.strideWords} words`);
      const other = taken.get(word);
      if (other !== undefined) throw new Error(`${table.name}.${field.name}: word ${word} belongs to ${other}`);
      taken.set(word, field.name);
    }
  }
  return table;
}

/** First word of a field; for module-level constants, which the compiler folds. Throws on an unknown name. */
export function word(table: Table, name: string): number {
  const field = table.fields.find((candidate) => candidate.name === name);
  if (field === undefined) throw new Error(`${table.name} has no field ${name}`);
  return field.at;
}

/**
 * FNV-1a over declarations: equal hash, equal layout and equal meaning. `meanings`: what else the rows depend on, such as names that
 * their numbers stand for. Unsigned 32 bits, never 0.
 */
export function layoutHash(tables: readonly Table[], meanings: readonly unknown[] = []): number {
  let hash = 0x811c9dc5;
  const text = JSON.stringify([
    meanings,
    tables.map((t) => [
      t.name,
      t.strideWords,
      t.fields.map((f) => [f.name, f.type, f.at, f.replicated ?? false, f.names, f.parts?.map((p) => [p.name, p.shift, p.bits, p.names])]),
    ]),
  ]);
  for (let k = 0; k < text.length; k++) hash = Math.imul(hash ^ text.charCodeAt(k), 0x01000193);
  return hash >>> 0 || 1;
}
