// The production dataplane, as a world builds it: all units have been paired.

import { Dataplane } from "../../firmware/unit.ts";
import type { Builder } from "./unit.ts";

export const buildUnit: Builder = (machine, plan, incarnation) => new Dataplane(machine, plan, incarnation);
