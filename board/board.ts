// A board: what an appliance has, as data. Code that wants a lamp, a port or a watchdog asks the board; no other file
// knows which machine it runs on. README.md says how to describe a new one.

import Type from "typebox";

const closed = { additionalProperties: false } as const;
const NAME = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$";

const BoardPort = Type.Object(
  {
    name: Type.String({ pattern: NAME, description: "What the configuration calls it." }),
    device: Type.String({ pattern: "^[^\\s:]{1,15}$", description: "Kernel device name." }),
    kind: Type.Enum(["data", "twin"] as const, { description: "Data ports carry users' packets, the twin port carries the other units." }),
  },
  closed,
);

export const BoardSchema = Type.Object(
  {
    name: Type.String({ pattern: NAME, description: "The board's name." }),
    ports: Type.Array(BoardPort, { minItems: 1, maxItems: 4, description: "NICs, in the order of their numbers." }),
    lamps: Type.Enum(["memory", "none"] as const, { default: "none", description: "Status lamps: memory keeps their state for tests." }),
    watchdog: Type.Enum(["none"] as const, { default: "none", description: "What resets the appliance when it hangs." }),
    dataplane: Type.Object(
      {
        cpu: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_023, description: "Core kept for the dataplane." })),
        nice: Type.Integer({ minimum: -20, maximum: 0, default: 0, description: "Scheduling priority of the dataplane; -20 is the strongest." }),
      },
      { ...closed, default: {} },
    ),
  },
  { ...closed, description: "A board." },
);

export type Board = Type.Static<typeof BoardSchema>;
