// A network device before and while it is a port: what it is, whether it is there, and what must hold before it may be
// one. On a data port the kernel must have no way to answer or to forward, whoever is dead: no address, no IPv6, no
// forwarding, no bridge. (That frames do not reach the kernel at all is steering.ts's part.)

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { PACKET_BYTES_MOST } from "../../limits.ts";
import type { PlannedPort } from "../../plan.ts";
import { PORT_DOWN, PORT_GONE, PORT_UP } from "../contracts.ts";
import { HalError, systemReason } from "./failure.ts";
import { DEVICE_FLAGS, DEVICE_INDEX, DEVICE_MASTER, DEVICE_MTU, DEVICE_WORDS, ENODEV, FLAG_LOWER_UP, FLAG_UP, loadNative } from "./native.ts";
import { quietOffloads } from "./offloads.ts";

/** Ethernet header and one VLAN tag. */
const HEADER_BYTES_MOST = 18;
/** Largest MTU whose frames fit packet memory. */
export const MTU_MOST = PACKET_BYTES_MOST - HEADER_BYTES_MOST;

/** A device's words, refreshed by `read`; one object per port, so that looking allocates nothing. */
export class Device {
  readonly name: string;
  readonly mac: Uint8Array = new Uint8Array(6);
  private readonly words: Int32Array = new Int32Array(DEVICE_WORDS);

  constructor(name: string) {
    this.name = name;
  }

  /** Looks again; false when there is no such device. */
  read(): boolean {
    const result = loadNative().linkState(this.name, this.words, this.mac);
    if (result >= 0) return true;
    this.words.fill(0);
    if (result === ENODEV) return false;
    throw new HalError("PORT_NO_DEVICE", `port ${this.name}: netlink does not answer (${systemReason(result)})`);
  }

  /** Kernel's number of the device; 0: absent. A device that was removed and returned has another one. */
  get index(): number {
    return this.words[DEVICE_INDEX] as number;
  }

  get mtuBytes(): number {
    return this.words[DEVICE_MTU] as number;
  }

  /** The bridge or bond that holds it; 0: none. */
  get master(): number {
    return this.words[DEVICE_MASTER] as number;
  }

  /** PORT_UP: on, with a carrier. */
  get state(): number {
    const wanted = FLAG_UP | FLAG_LOWER_UP;
    if (this.index === 0) return PORT_GONE;
    return ((this.words[DEVICE_FLAGS] as number) & wanted) === wanted ? PORT_UP : PORT_DOWN;
  }
}

/** Hears of device changes for all ports of the process: `generation` grows with each. */
export class LinkWatch {
  generation = 1;
  private readonly descriptor: number;
  private polledAt = -1;

  constructor() {
    this.descriptor = loadNative().linkWatch();
    if (this.descriptor < 0) throw new HalError("PORT_NO_DEVICE", `netlink is not to be had (${systemReason(this.descriptor)})`);
  }

  /** Takes in what happened; once per tick however many ports ask. */
  poll(nowMicros: number): void {
    if (nowMicros === this.polledAt) return;
    this.polledAt = nowMicros;
    if (loadNative().linkChanged(this.descriptor) === 1) this.generation++;
  }

  close(): void {
    loadNative().descriptorClose(this.descriptor);
  }
}

/**
 * Makes the device fit to be the port, and switches it on. `hasManagement`: the kernel may have an address there.
 * Throws HalError PORT_NO_DEVICE, PORT_ENSLAVED, PORT_HAS_ADDRESS, PORT_KERNEL_FORWARDS, PORT_MTU.
 */
export function prepareDevice(device: Device, planned: PlannedPort, hasManagement: boolean): void {
  const native = loadNative();
  const { name } = device;
  if (!device.read()) throw new HalError("PORT_NO_DEVICE", `port ${planned.number}: there is no network device ${name}; see "ip link" for those there are`);
  if (device.master !== 0) {
    throw new HalError(
      "PORT_ENSLAVED",
      `port ${planned.number} (${name}) belongs to a bridge or bond, which would forward beside the firewall: ip link set ${name} nomaster`,
    );
  }
  forbidForwarding(name);
  if (planned.kind === "data") {
    setting(`net/ipv6/conf/${name}/disable_ipv6`, "1");
    const addresses = native.linkAddresses(name);
    if (addresses > 0 && !hasManagement) {
      throw new HalError(
        "PORT_HAS_ADDRESS",
        `port ${planned.number} (${name}): the kernel has an address on it and would answer there: ip address flush dev ${name}`,
      );
    }
  }
  adjustMtu(device, planned);
  quietOffloads(name);
  const up = native.deviceUp(name);
  if (up < 0) throw new HalError("PORT_NO_DEVICE", `port ${planned.number} (${name}) cannot be switched on (${systemReason(up)})`);
  device.read();
}

function adjustMtu(device: Device, planned: PlannedPort): void {
  const where = `port ${planned.number} (${device.name}): MTU ${planned.mtuBytes}`;
  if (planned.mtuBytes > MTU_MOST) throw new HalError("PORT_MTU", `${where} is more than a packet frame holds: configure ${MTU_MOST} or less`);
  if (device.mtuBytes === planned.mtuBytes) return;
  const result = loadNative().deviceMtu(device.name, planned.mtuBytes);
  if (result < 0) throw new HalError("PORT_MTU", `${where} is not to be had from the device (${systemReason(result)})`);
}

function forbidForwarding(name: string): void {
  for (const path of ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"]) {
    if (setting(path, "0")) continue;
    throw new HalError("PORT_KERNEL_FORWARDS", `port ${name}: the kernel forwards packets itself, and ${path} cannot be set to 0: run as root`);
  }
}

/** Sets a kernel setting where the kernel has it; false when it has another value and keeps it. */
function setting(path: string, value: string): boolean {
  const file = `/proc/sys/${path}`;
  if (!existsSync(file) || readFileSync(file, "utf8").trim() === value) return true;
  try {
    writeFileSync(file, value);
    return true;
  } catch {
    return false;
  }
}
