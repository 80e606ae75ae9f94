// Opens a unit's ports with the best driver that each device allows: AF_XDP with the XDP program in native mode, then in
// generic mode, then node-pcap. Whatever is not the best is said: driver, port, cause, and what was taken instead.

import type { PlannedPort } from "../../plan.ts";
import type { Port } from "../contracts.ts";
import type { FrameMemory } from "../packets.ts";
import { AfxdpPort } from "./afxdp.ts";
import { Device, LinkWatch } from "./device.ts";
import { HalError, type HalErrorCode } from "./failure.ts";
import { PcapPort } from "./pcap.ts";
import { releaseDevice } from "./steering.ts";

export type DriverChoice = "auto" | "afxdp" | "pcap";

/** A port of this directory: can be waited for, and says why it is not open. */
export interface LinuxPort extends Port {
  /** For `createIdle`; -1 while closed. */
  readonly descriptor: number;
  /** Set while the port cannot be (re)opened. */
  readonly failure: HalError | undefined;
}

/** A driver that was not to be had, and what is used instead. */
export interface Fallback {
  readonly code: HalErrorCode;
  readonly port: number;
  readonly device: string;
  readonly driver: string;
  readonly cause: string;
  readonly taken: string;
  /** All of it as a sentence. */
  readonly sentence: string;
}

export interface OpenedPorts {
  /** In the order of the plan. */
  readonly ports: readonly LinuxPort[];
  readonly fallbacks: readonly Fallback[];
  /** Closes all ports; their devices pass nothing afterwards (`releasePorts` gives them back to the kernel). */
  close(): void;
}

export interface PortOptions {
  readonly driver?: DriverChoice;
  /** The appliance's own management address on the data ports, 16 bytes, IPv4 as v4-mapped; its traffic goes to the kernel. */
  readonly management?: readonly number[];
}

/** Failures of AF_XDP that leave node-pcap a chance. A foreign program or an unsafe device would stop it just the same. */
const PCAP_MAY_HELP: readonly HalErrorCode[] = ["PORT_XDP", "PORT_AFXDP", "PORT_QUEUES", "PORT_STRIPS_TAGS"];

/**
 * Opens every planned port. Throws the first HalError that has no fallback (PORT_NO_DEVICE, PORT_ENSLAVED,
 * PORT_HAS_ADDRESS, PORT_KERNEL_FORWARDS, PORT_MTU, PORT_XDP_FOREIGN, PORT_PCAP, or with `driver: "afxdp"` any); what was opened before is closed.
 */
export function openPorts(planned: readonly PlannedPort[], memory: FrameMemory, options: PortOptions = {}): OpenedPorts {
  const watch = new LinkWatch();
  const ports: LinuxPort[] = [];
  const fallbacks: Fallback[] = [];
  const close = (): void => {
    for (const port of ports) port.close();
    watch.close();
  };
  try {
    for (const each of planned) ports.push(openPort(each, memory, watch, options, fallbacks));
  } catch (error) {
    close();
    throw error;
  }
  return { ports, fallbacks, close };
}

/** Gives devices back to the kernel: takes our programs off. For a clean end of the appliance's service, and tests. */
export function releasePorts(devices: readonly string[]): void {
  for (const name of devices) releaseDevice(new Device(name));
}

function openPort(planned: PlannedPort, memory: FrameMemory, watch: LinkWatch, options: PortOptions, fallbacks: Fallback[]): LinuxPort {
  const { driver = "auto", management } = options;
  if (driver !== "pcap") {
    const port = new AfxdpPort(planned, memory, watch, management);
    try {
      port.open();
      if (port.steering?.mode === "generic")
        fallbacks.push(fallback(planned, "PORT_XDP", "AF_XDP in native mode", port.steering.cause || "as before", "generic mode"));
      return port;
    } catch (error) {
      if (driver === "afxdp" || !(error instanceof HalError) || !PCAP_MAY_HELP.includes(error.code)) throw error;
      fallbacks.push(fallback(planned, error.code, "AF_XDP", error.message, "node-pcap"));
    }
  }
  const port = new PcapPort(planned, memory, watch, management);
  port.open();
  if (port.shieldCause !== "")
    fallbacks.push(fallback(planned, "PORT_XDP", "the kernel's shield under node-pcap", port.shieldCause, "no address and no forwarding in the kernel"));
  return port;
}

function fallback(planned: PlannedPort, code: HalErrorCode, driver: string, reason: string, taken: string): Fallback {
  const where = `port ${planned.number} (${planned.device}): `;
  const cause = reason.startsWith(where) ? reason.slice(where.length) : reason;
  const sentence = `${code}: ${where}${driver} is not to be had (${cause}); using ${taken}`;
  return { code, port: planned.number, device: planned.device, driver, cause, taken, sentence };
}
