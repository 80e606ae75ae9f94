// A board: what an appliance has, as data. Code that wants a lamp, a port or a watchdog asks the board; no other file
// knows which machine it runs on. README.md says how to describe a new one.
//
//   BoardDescription   as a file says it: a port by its place in the machine, or by the kernel's name
//   Board              with each port's kernel name found (manager/devices.ts), as everybody else uses it

import Type from "typebox";

const closed = { additionalProperties: false } as const;
const NAME = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$";
const LED = "^[A-Za-z0-9_.:-]{1,60}$";
const DEVICE_FILE = "^/dev/[A-Za-z0-9_./:-]{1,100}$";

/** GPIO lines count from 0 on their chip; no chip has more. */
const GPIO_LINES_MOST = 1_024;

const BoardPort = Type.Object(
  {
    name: Type.String({ pattern: NAME, description: "What the configuration calls it." }),
    path: Type.Optional(
      Type.String({
        pattern: "^[A-Za-z0-9_.:@,-]+(/[A-Za-z0-9_.:@,-]+)*$",
        description: "Where it is: one or more parts of its device's path under /sys/devices, such as fe2a0000.ethernet or pci0000:00/0000:00:01.0.",
      }),
    ),
    device: Type.Optional(Type.String({ pattern: "^[^\\s:]{1,15}$", description: "Kernel device name, where that does not depend on luck." })),
    led: Type.Optional(Type.String({ pattern: LED, description: "Name in /sys/class/leds of a LED that the kernel alone drives by its link and traffic." })),
    kind: Type.Enum(["data", "twin"] as const, { description: "Data ports carry users' packets, the twin port carries the other units." }),
  },
  closed,
);

const chip = Type.String({ pattern: "^[A-Za-z0-9_.:@-]{1,60}$", description: "Label of the GPIO chip, as /sys/class/gpio/gpiochip*/label says it." });
const line = Type.Integer({ minimum: 0, maximum: GPIO_LINES_MOST - 1, description: "Line of that chip, from 0." });
const activeLow = Type.Boolean({ default: false, description: "True when the line is low while it is on or pressed." });

const Light = Type.Object(
  {
    led: Type.Optional(Type.String({ pattern: LED, description: "Name in /sys/class/leds." })),
    chip: Type.Optional(chip),
    line: Type.Optional(line),
    activeLow: Type.Optional(activeLow),
  },
  { ...closed, description: "A LED of the kernel (led) or a GPIO line (chip and line)." },
);

const BoardLamp = Type.Object(
  { green: Type.Optional(Light), amber: Type.Optional(Light), red: Type.Optional(Light) },
  { ...closed, description: "Its lights by colour. Without an amber light, green and red together are amber; a lamp of one colour shows by its pattern." },
);

const Lamps = Type.Object(
  {
    kind: Type.Enum(["none", "memory", "lights"] as const, { default: "none", description: "No lamps, a panel in memory for tests, or lights." }),
    status: Type.Optional(BoardLamp),
    ha: Type.Optional(BoardLamp),
    twin: Type.Optional(BoardLamp),
    alarm: Type.Optional(BoardLamp),
  },
  { ...closed, default: {}, description: "The front panel's lamps." },
);

const Button = Type.Object(
  {
    input: Type.Optional(
      Type.String({ pattern: "^[^/]{1,60}$", description: "Name of the kernel's input device, as /sys/class/input/event*/device/name says it." }),
    ),
    key: Type.Optional(Type.Integer({ minimum: 1, maximum: 767, description: "Key code of that device (linux/input-event-codes.h)." })),
    chip: Type.Optional(chip),
    line: Type.Optional(line),
    activeLow: Type.Optional(activeLow),
  },
  { ...closed, description: "The front button: a key of an input device (input and key), or a GPIO line (chip and line)." },
);

const Serial = Type.Object(
  {
    device: Type.String({ pattern: DEVICE_FILE, description: "Device file of the serial console." }),
    baud: Type.Enum([9_600, 19_200, 38_400, 57_600, 115_200, 1_500_000] as const, {
      default: 115_200,
      description: "Bits per second; 8 data bits, no parity.",
    }),
  },
  { ...closed, description: "The serial console's line." },
);

const BoardWatchdog = Type.Object(
  {
    device: Type.String({ pattern: DEVICE_FILE, description: "Device file, such as /dev/watchdog0. Its timeout is its driver's, at least 10 s." }),
  },
  { ...closed, description: "What resets the appliance when it hangs." },
);

export const BoardSchema = Type.Object(
  {
    name: Type.String({ pattern: NAME, description: "The board's name." }),
    ports: Type.Array(BoardPort, { minItems: 1, maxItems: 4, description: "NICs, in the order of their numbers." }),
    lamps: Lamps,
    button: Type.Optional(Button),
    serial: Type.Optional(Serial),
    watchdog: Type.Optional(BoardWatchdog),
    dataplane: Type.Object(
      {
        cpu: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_023, description: "Core kept for the dataplane." })),
        nice: Type.Integer({ minimum: -20, maximum: 0, default: 0, description: "Scheduling priority of the dataplane; -20 is the strongest." }),
      },
      { ...closed, default: {}, description: "Where the dataplane runs." },
    ),
  },
  { ...closed, description: "A board." },
);

export const LAMP_NAMES = ["status", "ha", "twin", "alarm"] as const;
export type LampName = (typeof LAMP_NAMES)[number];

export type BoardDescription = Type.Static<typeof BoardSchema>;
export type BoardLight = Type.Static<typeof Light>;
export type BoardLampDescription = Type.Static<typeof BoardLamp>;
export type BoardButton = Type.Static<typeof Button>;
export type BoardSerial = Type.Static<typeof Serial>;
export type BoardWatchdogDescription = Type.Static<typeof BoardWatchdog>;

/** A board whose ports are found. */
export type Board = Omit<BoardDescription, "ports"> & { readonly ports: readonly (Type.Static<typeof BoardPort> & { readonly device: string })[] };
