// Shows a line that is being edited with nothing but printable characters, backspace and spaces, so that every terminal shows it right,
// the dumbest included. Only what differs from what is on the screen is written; a line longer than the screen scrolls sideways:
//
//   A1> sessions --where "owner = 'A1'"          A1> <s > 1000000" --order "bytes DESC
//
// The last column is never written to: what terminals do then differs.

const BACKSPACE = "\b";
/** Terminals narrower than this are taken for this wide; half of it must be enough for the prompt. */
const NARROWEST = 40;

export class Drawing {
  private shown = "";
  private column = 0;
  private first = 0;

  /** The screen has a new line, with nothing on it. */
  forget(): void {
    this.shown = "";
    this.column = 0;
    this.first = 0;
  }

  /** What to send so that prompt and text stand there, with the cursor (0..text.length) in its place. `columns`: of the terminal. */
  draw(prompt: string, text: string, cursor: number, columns: number): string {
    const room = Math.max(NARROWEST, columns - 1) - prompt.length;
    const step = room >> 2;
    if (cursor <= this.first) this.first = Math.max(0, cursor - step);
    if (cursor > this.first + room - 1) this.first = cursor - room + step;
    if (text.length < room) this.first = 0;
    const window = text.slice(this.first, this.first + room - 1);
    const marked = this.first > 0 ? `<${window.slice(1)}` : window;
    return this.turnInto(prompt + marked, prompt.length + cursor - this.first);
  }

  /** What to send to wipe the line. */
  wipe(): string {
    return this.turnInto("", 0);
  }

  private turnInto(wanted: string, column: number): string {
    const { shown } = this;
    let same = 0;
    while (same < shown.length && same < wanted.length && shown[same] === wanted[same]) same++;
    let sent = "";
    if (shown !== wanted) {
      sent += this.moved(wanted, same);
      sent += wanted.slice(same);
      const left = shown.length - wanted.length;
      if (left > 0) sent += " ".repeat(left) + BACKSPACE.repeat(left);
      this.column = wanted.length;
      this.shown = wanted;
    }
    return sent + this.moved(wanted, column);
  }

  /** Moves the cursor over `text`, which is on the screen. */
  private moved(text: string, to: number): string {
    const from = this.column;
    this.column = to;
    return to < from ? BACKSPACE.repeat(from - to) : text.slice(from, to);
  }
}
