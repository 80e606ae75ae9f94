// The rules of the benchmark: so many that match nothing, one source network and one service each, and the last one, which a probe meets.

/** Where the probe goes; the last rule permits or denies it. */
export const PROBE_PORT = 7_777;

/** Rule k of those that match nothing. */
function otherRule(k: number): { readonly source: string; readonly port: number } {
  return { source: `172.${16 + (k >> 12)}.${(k >> 4) & 0xff}.${(k & 15) << 4}/28`, port: 20_000 + (k % 1_000) };
}

/** As an administrator of Twinwall writes them. `count` 1.. with the last one. */
export function policyOf(count: number, action: "permit" | "deny"): readonly object[] {
  const ways = { from: ["one"], to: ["three"] };
  const others = Array.from({ length: count - 1 }, (_, k) => {
    const { source, port } = otherRule(k);
    return { name: `rule-${k}`, ...ways, source: [source], service: [`udp/${port}`], action: "permit" };
  });
  return [...others, { name: "probe", ...ways, service: [`udp/${PROBE_PORT}`], action }];
}

/** The same for nft, in the words of a forward chain. */
export function chainOf(count: number, action: "permit" | "deny"): readonly string[] {
  const others = Array.from({ length: count - 1 }, (_, k) => {
    const { source, port } = otherRule(k);
    return `ip saddr ${source} udp dport ${port} accept`;
  });
  return [...others, `udp dport ${PROBE_PORT} ${action === "permit" ? "accept" : "drop"}`];
}
