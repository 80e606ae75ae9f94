// The mailbox: the manager writes commands, the dataplane takes them, neither waits.
//
//   header.commandHead   written by the manager         header.commandTail   taken by the dataplane
//   commands   … │ taken │ tail │ … │ head-1 │ free …   slot = position & (COMMANDS - 1)
//
// A slot is valid for position p when its sequence is p + 1; the sequence is stored after the rest, so that a manager
// that dies in mid-write has written nothing. A doorbell (an eventfd in the dataplane's `poll` set) only saves the wait
// for the next tick: the ring is looked at in each.

import { COMMANDS } from "../../limits.ts";
import { word } from "./layout.ts";
import { COMMAND_TABLE, headerWord, type Tables } from "./tables.ts";

const SEQUENCE = word(COMMAND_TABLE, "sequence");
const KIND = word(COMMAND_TABLE, "kind");
const ARGUMENT = word(COMMAND_TABLE, "argument");
const ANSWER = word(COMMAND_TABLE, "answer");
const ANSWERED = word(COMMAND_TABLE, "answered");
const ARGUMENT_2 = word(COMMAND_TABLE, "argument2");
const HEAD = headerWord("commandHead");
const TAIL = headerWord("commandTail");

/** What the mailbox needs of a unit's area. */
export type CommandTables = Pick<Tables, "header" | "commands">;

/** Puts a command into the ring; its sequence (never 0), or 0 when the dataplane has left the ring full. One process at a time may write. */
export function putCommand(tables: CommandTables, kind: number, argument: number, argument2: number): number {
  const header = tables.header.i;
  const head = Atomics.load(header, HEAD);
  if (((head - Atomics.load(header, TAIL)) | 0) >= COMMANDS) return 0;
  const { i, strideWords } = tables.commands;
  const at = (head & (COMMANDS - 1)) * strideWords;
  i[at + KIND] = kind;
  i[at + ARGUMENT] = argument;
  i[at + ARGUMENT_2] = argument2;
  Atomics.store(i, at + SEQUENCE, (head + 1) | 0);
  Atomics.store(header, HEAD, (head + 1) | 0);
  return (head + 1) | 0;
}

/** What the dataplane answered to the command with this sequence; 0 = nothing yet. */
export function answerTo(tables: CommandTables, sequence: number): number {
  const { i, strideWords } = tables.commands;
  const at = ((sequence - 1) & (COMMANDS - 1)) * strideWords;
  return Atomics.load(i, at + ANSWERED) === sequence ? (i[at + ANSWER] as number) : 0;
}

/** The dataplane's end. Allocates nothing after construction. */
export class CommandReader {
  /** Of the command taken last. */
  argument = 0;
  argument2 = 0;
  private readonly header: Int32Array;
  private readonly i: Int32Array;
  private readonly stride: number;

  constructor(tables: CommandTables) {
    this.header = tables.header.i;
    this.i = tables.commands.i;
    this.stride = tables.commands.strideWords | 0;
  }

  /** At start: what was meant for the process that died is not for this one. */
  skip(): void {
    this.header[TAIL] = Atomics.load(this.header, HEAD);
  }

  /** Answers the command taken last. */
  answer(code: number): void {
    const sequence = this.header[TAIL] as number;
    const at = Math.imul((sequence - 1) & (COMMANDS - 1), this.stride);
    this.i[at + ANSWER] = code;
    Atomics.store(this.i, at + ANSWERED, sequence);
  }

  /** Takes the next command: its kind (COMMAND_*), or 0 when there is none. */
  take(): number {
    const tail = this.header[TAIL] as number;
    const at = Math.imul(tail & (COMMANDS - 1), this.stride);
    if (Atomics.load(this.i, at + SEQUENCE) !== ((tail + 1) | 0)) return 0;
    const kind = this.i[at + KIND] as number;
    this.argument = this.i[at + ARGUMENT] as number;
    this.argument2 = this.i[at + ARGUMENT_2] as number;
    this.header[TAIL] = (tail + 1) | 0;
    return kind;
  }
}
