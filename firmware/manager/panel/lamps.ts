// The lamps and the button of a board, as it describes them.

import { type Board, type BoardLampDescription, type BoardLight, LAMP_NAMES, type LampName } from "../../../board/board.ts";
import type { Button, Lamp } from "../../hal/contracts.ts";
import { InputButton } from "../../hal/linux/button.ts";
import { GpioButton, GpioLight, type LinePlace, type OpenLine } from "../../hal/linux/gpio.ts";
import { LedLight, type Light, LitLamp, PortLight } from "../../hal/linux/lamps.ts";
import { MemoryLamp } from "../../hal/memory-panel.ts";

const INPUT_DEVICES = "/dev/input";

/** Where lights are: the machine's, or a test's. */
export interface LightPlaces {
  readonly sysfs: string;
  readonly openLine: OpenLine;
}

/** STATUS is armed: it goes dark by itself when the software dies. Opens nothing: a lamp that is not there fails when it is used. */
export function createLamps(board: Pick<Board, "lamps">, places: LightPlaces): Record<LampName, Lamp> {
  const { lamps } = board;
  const create = (name: LampName): Lamp => {
    const described = lamps[name];
    const isArmed = name === "status";
    return lamps.kind === "lights" && described !== undefined ? litLamp(described, isArmed, places) : new MemoryLamp(isArmed);
  };
  return Object.fromEntries(LAMP_NAMES.map((name) => [name, create(name)])) as Record<LampName, Lamp>;
}

export function createPortLights({ ports }: Pick<Board, "ports">, { sysfs }: Pick<LightPlaces, "sysfs">): readonly PortLight[] {
  return ports.flatMap(({ led, device }) => (led === undefined ? [] : [new PortLight(sysfs, led, device)]));
}

/** undefined: the board has none. */
export function createButton({ button }: Pick<Board, "button">, places: LightPlaces): Button | undefined {
  if (button === undefined) return undefined;
  if (button.input !== undefined) return new InputButton(places.sysfs, INPUT_DEVICES, button.input, button.key ?? 0);
  return new GpioButton(places.sysfs, placeOf(button), places.openLine);
}

function litLamp(described: BoardLampDescription, isArmed: boolean, places: LightPlaces): Lamp {
  const light = (one: BoardLight): Light =>
    one.led === undefined ? new GpioLight(places.sysfs, placeOf(one), places.openLine) : new LedLight(places.sysfs, one.led, isArmed);
  return new LitLamp(Object.fromEntries(Object.entries(described).map(([colour, one]) => [colour, light(one)])));
}

function placeOf({ chip = "", line = 0, activeLow = false }: Pick<BoardLight, "chip" | "line" | "activeLow">): LinePlace {
  return { chip, line, activeLow };
}
