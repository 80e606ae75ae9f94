// The lab's appliance: a network namespace with two data ports and a twin port, each a veth; no lamps that shine, no
// watchdog, no core of its own.

import type { Board } from "./board.ts";

export const board: Board = {
  name: "lab",
  ports: [
    { name: "port1", device: "port1", kind: "data" },
    { name: "port2", device: "port2", kind: "data" },
    { name: "twin", device: "twin", kind: "twin" },
  ],
  lamps: { kind: "memory" },
  dataplane: { nice: -20 },
};
