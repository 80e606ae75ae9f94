// The front panel as text, for the console and the lab:
//
//   ┌ A1 ─────────────────────────────────────┐
//   │  STATUS ●   HA ●   TWIN ◉   ALARM ○  │
//   └─────────────────────────────────────────┘
//
// A sign for each pattern, so that it reads without colours too.

import { LAMP_NAMES, type LampName } from "../../../board/board.ts";
import type { LampPattern } from "../../hal/contracts.ts";
import { paint, type Screen, type Style } from "../console/table.ts";
import { colourOf, type LampStates } from "./situations.ts";

const SIGNS: Readonly<Record<LampPattern, string>> = { off: "○", solid: "●", flash: "◉", slow: "◐", fast: "◆" };
const STYLES: Readonly<Record<string, Style>> = { green: "green", amber: "yellow", red: "red" };
const WORDS: Readonly<Record<LampPattern, string>> = {
  off: "off",
  solid: "green, solid",
  flash: "green, a flash each second",
  slow: "amber, 1 Hz",
  fast: "red, 5 Hz",
};

/** A lamp's sign, painted. `isLit`: false draws a blinking lamp in its dark half. */
export function lampSign(pattern: LampPattern, screen: Screen, isLit = true): string {
  if (pattern === "off") return paint(SIGNS.off, "dim", screen);
  return paint(isLit ? SIGNS[pattern] : SIGNS.off, STYLES[colourOf(pattern)] ?? "bold", screen);
}

/** `STATUS ●   HA ●   TWIN ◉   ALARM ○`. `isLit`: as in lampSign, by lamp. */
export function lampRow(states: LampStates, screen: Screen, isLit: (lamp: LampName) => boolean = () => true): string {
  return LAMP_NAMES.map((lamp) => `${lamp.toUpperCase()} ${lampSign(states[lamp].pattern, screen, isLit(lamp))}`).join("   ");
}

const ROW_CHARACTERS = lampRowCharacters();

function lampRowCharacters(): number {
  return LAMP_NAMES.reduce((sum, lamp) => sum + lamp.length + 2, 0) + 3 * (LAMP_NAMES.length - 1);
}

/** The panel with what each lamp means and what to do about it. */
export function panelLines(unit: string, states: LampStates, screen: Screen): string[] {
  const width = ROW_CHARACTERS + 4;
  const words = Math.max(...LAMP_NAMES.map((lamp) => WORDS[states[lamp].pattern].length));
  return [
    `┌ ${paint(unit, "bold", screen)} ${"─".repeat(Math.max(0, width - unit.length - 2))}┐`,
    `│  ${lampRow(states, screen)}  │`,
    `└${"─".repeat(width)}┘`,
    ...LAMP_NAMES.map((lamp) => {
      const { pattern, meaning, remedy } = states[lamp];
      return `${lamp.toUpperCase().padEnd(6)}  ${WORDS[pattern].padEnd(words)}  ${meaning}${remedy === "" ? "" : ` ${remedy}`}`;
    }),
  ];
}

/** What a pattern looks like, in words. */
export function patternWords(pattern: LampPattern): string {
  return WORDS[pattern];
}
