// A port's counters as cells of one Float64Array: a driver adds to a cell without allocating, readers see plain properties.

import type { PortCounters } from "./contracts.ts";

export const RECEIVED_PACKETS = 0;
export const RECEIVED_BYTES = 1;
export const TRANSMITTED_PACKETS = 2;
export const TRANSMITTED_BYTES = 3;
export const TRANSMIT_FULL = 4;
export const RECEIVE_MISSED = 5;
export const RECEIVE_ERRORS = 6;
const CELLS = 7;

export class CounterCells implements PortCounters {
  readonly cells: Float64Array = new Float64Array(CELLS);

  get receivedPackets(): number {
    return this.cells[RECEIVED_PACKETS] as number;
  }
  get receivedBytes(): number {
    return this.cells[RECEIVED_BYTES] as number;
  }
  get transmittedPackets(): number {
    return this.cells[TRANSMITTED_PACKETS] as number;
  }
  get transmittedBytes(): number {
    return this.cells[TRANSMITTED_BYTES] as number;
  }
  get transmitFull(): number {
    return this.cells[TRANSMIT_FULL] as number;
  }
  get receiveMissed(): number {
    return this.cells[RECEIVE_MISSED] as number;
  }
  get receiveErrors(): number {
    return this.cells[RECEIVE_ERRORS] as number;
  }
}
