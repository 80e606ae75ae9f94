// A store's source made by hand: an area of this process, and clocks that stand until they are moved.

import { word } from "../../firmware/fastpath/memory/layout.ts";
import { SESSIONS } from "../../firmware/fastpath/memory/tables.ts";
import type { Source } from "../../firmware/store/source.ts";
import { type Area, NOW_MICROS } from "./area.ts";

const STRIDE = SESSIONS.strideWords;

export interface HandSource extends Source {
  micros: number;
  wall: number;
}

/** `stepMicros`: how far the clock moves at each look, as if work took time. */
export function handSource(area: Area, wall: number, stepMicros = 0): HandSource {
  const source: HandSource = {
    micros: NOW_MICROS,
    wall,
    tables: area.tables,
    clock: {
      nowMicros: () => {
        source.micros += stepMicros;
        return source.micros;
      },
    },
    wallMillis: () => source.wall,
    snapshot: (row, target) => {
      const words = area.tables.sessions.i.subarray(row * STRIDE, (row + 1) * STRIDE);
      if (((words[word(SESSIONS, "generation")] as number) & 1) !== 0) return false;
      new Int32Array(target).set(words);
      return true;
    },
  };
  return source;
}
