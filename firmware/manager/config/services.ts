// Services as a rule names them:
//
//   tcp   tcp/443   udp/1024-65535     destination ports
//   icmp  icmp/8    icmpv6/3/0-1       type, then code
//   protocol/47                        any other IP protocol

import type { PlannedService } from "../../plan.ts";

const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 };
const PORT_MOST = 65_535;
const BYTE_MOST = 255;

/** Undefined when the text is no service. */
export function parseService(text: string): PlannedService | undefined {
  const [name = "", first, second, ...rest] = text.split("/");
  if (rest.length > 0) return undefined;
  if (name === "protocol") return second === undefined ? otherProtocol(first) : undefined;
  const protocol = Object.hasOwn(PROTOCOLS, name) ? PROTOCOLS[name] : undefined;
  if (protocol === undefined) return undefined;
  const isIcmp = name.startsWith("icmp");
  if (second !== undefined && !isIcmp) return undefined;
  const ports = first === undefined ? ([0, PORT_MOST] as const) : parseRange(first, isIcmp ? BYTE_MOST : PORT_MOST);
  const codes = second === undefined ? ([0, BYTE_MOST] as const) : parseRange(second, BYTE_MOST);
  return ports === undefined || codes === undefined ? undefined : { protocol, ports, codes };
}

function otherProtocol(text: string | undefined): PlannedService | undefined {
  const range = text === undefined ? undefined : parseRange(text, BYTE_MOST);
  if (range === undefined || range[0] !== range[1]) return undefined;
  return { protocol: range[0], ports: [0, PORT_MOST], codes: [0, BYTE_MOST] };
}

/** `7` or `7-9`, inclusive, within 0..most. */
function parseRange(text: string, most: number): readonly [number, number] | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const low = Number(match[1]);
  const high = match[2] === undefined ? low : Number(match[2]);
  return low <= high && high <= most ? [low, high] : undefined;
}
