// What ails a unit, as one number: the gravest ailment has the highest bits, so that of two units the smaller number is the
// healthier one. It travels in heartbeats and lies in the member rows; the console has words for it.
//
//    15       14       13      12     11..9   8..3                0
//   │drained │ behind │ stalls│ twin │ ports │ monitored │ 0 0 │ disk │

import type { Part } from "./layout.ts";

/** An operator holds the unit back. */
export const HEALTH_DRAINED = 1 << 15;
/** It has not yet been given everything that its site's active unit owns. */
export const HEALTH_BEHIND = 1 << 14;
/** Its loop stood still several times lately. */
export const HEALTH_STALLS = 1 << 13;
/** No twin path works, although peers are heard. */
export const HEALTH_TWIN = 1 << 12;
/** Data ports that are down: 0..7. */
export const HEALTH_PORTS_SHIFT = 9;
export const HEALTH_PORTS_MOST = 7;
/** Monitored addresses that do not answer: 0..63. */
export const HEALTH_MONITORED_SHIFT = 3;
export const HEALTH_MONITORED_MOST = 63;
/** Its store cannot write. */
export const HEALTH_DISK = 1;

/** With one of these a unit is not eligible: it becomes active only when nobody else is there. */
export const HEALTH_INELIGIBLE = HEALTH_DRAINED | HEALTH_BEHIND;

/** The same as columns. */
export const HEALTH_PARTS: readonly Part[] = [
  { name: "DiskAiling", shift: 0, bits: 1, doc: "1: its store cannot write" },
  { name: "MonitoredSilent", shift: HEALTH_MONITORED_SHIFT, bits: 6, doc: "monitored addresses that do not answer it" },
  { name: "PortsDown", shift: HEALTH_PORTS_SHIFT, bits: 3, doc: "data ports that are down" },
  { name: "TwinLost", shift: 12, bits: 1, doc: "1: no twin path works" },
  { name: "Stalls", shift: 13, bits: 1, doc: "1: its loop stood still several times lately" },
  { name: "Behind", shift: 14, bits: 1, doc: "1: not synchronised with its site's active unit" },
  { name: "Drained", shift: 15, bits: 1, doc: "1: an operator holds it back" },
];
