// The control channel as the rest of the manager uses it: messages to paired units, and who can be reached now. Messages arrive
// whole, once and in order while a channel is up; when it goes down, what had not been answered may or may not have arrived.

import type { Message } from "./conversation.ts";

export type { Message } from "./conversation.ts";

export interface ControlChannel {
  /** Units that can be reached now. */
  readonly reachable: readonly number[];
  isUp(unit: number): boolean;
  /** False: the unit cannot be reached, or the message is longer than MESSAGE_BYTES_MOST. */
  send(unit: number, message: Message): boolean;
  /** Who handles messages of a kind; one handler per kind. It checks what it is given: a paired unit may run another version. */
  on(kind: string, handler: (from: number, message: Message) => void): void;
  /** Tells of units that come and go. */
  watch(listener: (unit: number, isUp: boolean) => void): void;
}
