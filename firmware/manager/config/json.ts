// JSON (RFC 8259) that remembers on which line each key stands, and refuses a key that is written twice: `JSON.parse`
// would silently keep the last one.

/** A fault in the text itself. */
export class JsonFault extends Error {
  readonly line: number;
  readonly code: "json-syntax" | "duplicate-key";
  readonly pointer: string;

  constructor(code: "json-syntax" | "duplicate-key", line: number, pointer: string, message: string) {
    super(message);
    this.code = code;
    this.line = line;
    this.pointer = pointer;
  }
}

export interface LocatedJson {
  readonly value: unknown;
  /** Line (1-based) of the value at an RFC 6901 pointer, or of its nearest ancestor that is in the text. */
  lineOf(pointer: string): number;
}

const DEPTH_MOST = 32;
const SPACE = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// RFC 8259 §7: no control character in a string.
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const LITERALS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["true", true],
  ["false", false],
  ["null", null],
]);

/** Parses a whole text. Throws JsonFault with the line. */
export function parseJson(text: string): LocatedJson {
  const reader = new Reader(text);
  const value = reader.value("", 0);
  reader.end();
  return {
    value,
    lineOf(pointer: string): number {
      for (let at = pointer; ; at = at.slice(0, at.lastIndexOf("/"))) {
        const line = reader.lines.get(at);
        if (line !== undefined) return line;
        if (at === "") return 1;
      }
    },
  };
}

class Reader {
  readonly lines = new Map<string, number>();
  private readonly text: string;
  private at = 0;
  private line = 1;

  constructor(text: string) {
    this.text = text;
    this.space();
  }

  value(pointer: string, depth: number): unknown {
    if (depth > DEPTH_MOST) throw this.fault(pointer, `nested deeper than ${DEPTH_MOST}`);
    if (!this.lines.has(pointer)) this.lines.set(pointer, this.line);
    const first = this.text[this.at];
    if (first === "{") return this.object(pointer, depth);
    if (first === "[") return this.array(pointer, depth);
    if (first === '"') return this.string(pointer);
    for (const [word, value] of LITERALS) {
      if (this.text.startsWith(word, this.at)) {
        this.take(word.length);
        return value;
      }
    }
    const number = this.match(NUMBER);
    if (number === "") throw this.fault(pointer, `a value is missing; found ${this.found()}`);
    this.take(number.length);
    return Number(number);
  }

  end(): void {
    if (this.at < this.text.length) throw this.fault("", `something follows the end: ${this.found()}`);
  }

  private object(pointer: string, depth: number): object {
    const object = {};
    this.take(1);
    for (let first = true; this.text[this.at] !== "}"; first = false) {
      if (!first) this.expect(",", pointer);
      if (this.text[this.at] !== '"') throw this.fault(pointer, `a key in double quotes is missing; found ${this.found()}`);
      const line = this.line;
      const key = this.string(pointer);
      const inner = `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      if (Object.hasOwn(object, key)) throw new JsonFault("duplicate-key", line, inner, `the key is written twice; first on line ${this.lines.get(inner)}`);
      this.lines.set(inner, line);
      this.expect(":", inner);
      // defineProperty, because a key may be called __proto__.
      Object.defineProperty(object, key, { value: this.value(inner, depth + 1), enumerable: true, writable: true, configurable: true });
    }
    this.take(1);
    return object;
  }

  private array(pointer: string, depth: number): unknown[] {
    const array: unknown[] = [];
    this.take(1);
    while (this.text[this.at] !== "]") {
      if (array.length > 0) this.expect(",", pointer);
      array.push(this.value(`${pointer}/${array.length}`, depth + 1));
    }
    this.take(1);
    return array;
  }

  private string(pointer: string): string {
    const raw = this.match(STRING);
    if (raw === "") throw this.fault(pointer, "a string does not end on its line, or has a wrong escape");
    this.take(raw.length);
    return JSON.parse(raw) as string;
  }

  private expect(sign: string, pointer: string): void {
    if (this.text[this.at] !== sign) throw this.fault(pointer, `"${sign}" is missing; found ${this.found()}`);
    this.take(1);
  }

  /** Steps over a token, which has no line end in it, and the space behind it. */
  private take(characters: number): void {
    this.at += characters;
    this.space();
  }

  private space(): void {
    for (const sign of this.match(SPACE)) {
      this.at++;
      if (sign === "\n") this.line++;
    }
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    return pattern.exec(this.text)?.[0] ?? "";
  }

  private found(): string {
    return this.at >= this.text.length ? "the end of the file" : JSON.stringify(this.text.slice(this.at, this.at + 12));
  }

  private fault(pointer: string, message: string): JsonFault {
    return new JsonFault("json-syntax", this.line, pointer, message);
  }
}
