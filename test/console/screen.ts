// The dumbest terminal there is: printable characters, Return, line feed and backspace. Escape sequences leave it cold, and what
// remains of them stands there as text. Property tests compare what it shows with what it should.

export class DumbScreen {
  readonly lines: string[] = [""];
  column = 0;
  /** The rightmost column that was ever written to, from 0. */
  widest = -1;

  write(text: string): void {
    for (const character of text) this.put(character);
  }

  /** The line that the cursor is in, without blanks at its end. */
  get last(): string {
    return (this.lines.at(-1) as string).trimEnd();
  }

  private put(character: string): void {
    if (character === "\r") this.column = 0;
    else if (character === "\n") this.lines.push("".padEnd(this.column));
    else if (character === "\b") this.column = Math.max(0, this.column - 1);
    else if (character >= " ") {
      const line = (this.lines.at(-1) as string).padEnd(this.column);
      this.lines[this.lines.length - 1] = line.slice(0, this.column) + character + line.slice(this.column + 1);
      this.widest = Math.max(this.widest, this.column);
      this.column++;
    }
  }
}
