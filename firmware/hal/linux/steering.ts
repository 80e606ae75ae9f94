// Puts our programs (addon/steer.bpf.c) on a device: the XDP program that steers frames to the dataplane's socket and
// drops them when there is none, or, under node-pcap, the tc program that keeps them from the kernel's stack. Both outlive the
// process on purpose: a dead dataplane passes nothing.

import type { PlannedPort } from "../../plan.ts";
import type { Device } from "./device.ts";
import { HalError, systemReason } from "./failure.ts";
import {
  ANSWER_ADOPTED,
  ANSWER_DETAIL,
  ANSWER_MAP,
  ANSWER_MODE,
  ANSWER_STAGE,
  ANSWER_WORDS,
  EEXIST,
  ENODEV,
  loadNative,
  MODE_GENERIC,
  STAGE_LOAD,
  STEERING_ADDRESS,
  STEERING_MANAGEMENT,
  STEERING_OBJECT,
  STEERING_TWIN,
  STEERING_WORDS,
} from "./native.ts";

export interface Steering {
  /** XSKMAP: queue → socket. */
  readonly mapDescriptor: number;
  readonly mode: "native" | "generic";
  /** The program was there already: the last dataplane's. */
  readonly adopted: boolean;
  /** Why not native mode; empty when it is native. */
  readonly cause: string;
}

/** Attaches or adopts the XDP program. `management`: 16 bytes, IPv4 as v4-mapped; undefined: none. Throws HalError PORT_XDP, PORT_XDP_FOREIGN. */
export function attachSteering(device: Device, planned: PlannedPort, management: readonly number[] | undefined): Steering {
  const answer = new Int32Array(ANSWER_WORDS);
  const result = loadNative().steeringAttach(STEERING_OBJECT, device.index, steeringWords(planned, management), 0, answer);
  const where = `port ${planned.number} (${device.name})`;
  if (result === EEXIST && answer[ANSWER_DETAIL] === 1) {
    throw new HalError("PORT_XDP_FOREIGN", `${where}: another program's XDP program is attached; remove it: ip link set ${device.name} xdp off`);
  }
  if (result === ENODEV) throw new HalError("PORT_NO_DEVICE", `${where}: the device was removed`);
  if (result < 0)
    throw new HalError(
      "PORT_XDP",
      `${where}: the XDP program cannot be ${answer[ANSWER_STAGE] === STAGE_LOAD ? "loaded" : "attached"} (${systemReason(result)})`,
    );
  const generic = answer[ANSWER_MODE] === MODE_GENERIC;
  const detail = answer[ANSWER_DETAIL] as number;
  return {
    mapDescriptor: answer[ANSWER_MAP] as number,
    mode: generic ? "generic" : "native",
    adopted: answer[ANSWER_ADOPTED] === 1,
    cause: generic && detail < 0 ? systemReason(detail) : "",
  };
}

/** Puts the shield on the device, then takes the XDP program off it. Returns why there is no shield, or "". */
export function attachShield(device: Device, planned: PlannedPort, management: readonly number[] | undefined): string {
  const native = loadNative();
  const result = native.shieldAttach(STEERING_OBJECT, device.index, steeringWords(planned, management));
  native.steeringDetach(device.index);
  return result < 0 ? systemReason(result) : "";
}

/** Gives a device back to the kernel: nothing of ours remains on it. No error when nothing was there. */
export function releaseDevice(device: Device): void {
  if (!device.read()) return;
  const native = loadNative();
  native.steeringDetach(device.index);
  native.shieldDetach(device.index);
}

function steeringWords(planned: PlannedPort, management: readonly number[] | undefined): Uint32Array {
  const words = new Uint32Array(STEERING_WORDS);
  words[STEERING_TWIN] = planned.kind === "twin" ? 1 : 0;
  if (management === undefined || planned.kind === "twin") return words;
  const isMapped = management.slice(0, 10).every((byte) => byte === 0) && management[10] === 0xff && management[11] === 0xff;
  words[STEERING_MANAGEMENT] = isMapped ? 4 : 6;
  new Uint8Array(words.buffer).set(management, STEERING_ADDRESS * 4);
  return words;
}
