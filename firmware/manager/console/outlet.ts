// What waits to be sent over a slow line: a queue with an end. Echo that finds it full is dropped and counted, because the line is
// drawn anew later; a command's answer asks for room first and waits.
//
//   terminal ──offer──► [ queue, 4,096 characters ] ──one write at a time──► line
//                                       └─ onRoom, when half of it is free again

import { CONSOLE_QUEUE } from "../../limits.ts";

/** Characters handed to the line at once: 22 ms at 115,200 baud, so that Ctrl-C shows soon. */
const CHUNK = 256;

export class Outlet {
  /** Characters that found the queue full. */
  dropped = 0;
  private readonly send: (bytes: Uint8Array) => Promise<boolean>;
  private readonly onRoom: () => void;
  private queue = "";
  private sending = false;

  /** `send` as SerialLine.write. `onRoom` is called after something was sent and there is room again. */
  constructor(send: (bytes: Uint8Array) => Promise<boolean>, onRoom: () => void) {
    this.send = send;
    this.onRoom = onRoom;
  }

  get hasRoom(): boolean {
    return this.queue.length <= CONSOLE_QUEUE / 2;
  }

  /** Takes the text whole, or, when there is no room, not at all. */
  offer(text: string): boolean {
    if (this.queue.length + text.length > CONSOLE_QUEUE) {
      this.dropped += text.length;
      return false;
    }
    this.queue += text;
    if (!this.sending) void this.drain();
    return true;
  }

  /** Drops what waits. */
  clear(): void {
    this.queue = "";
  }

  private async drain(): Promise<void> {
    this.sending = true;
    while (this.queue !== "") {
      const chunk = this.queue.slice(0, CHUNK);
      this.queue = this.queue.slice(CHUNK);
      await this.send(Buffer.from(chunk)); // A line that is down takes nothing, and takes no time for it.
      if (this.hasRoom) this.onRoom();
    }
    this.sending = false;
  }
}
