// Which packets of other people's captures must not pass a unit that permits everything: written down from the clauses before
// they were run, never from what came out. Every packet that is not listed must pass unchanged.
//
// Bytes that a capture has not kept are zero, so the checksums of such packets are wrong: those captures run with the check off.
// A capture that was made on the sender itself, with checksums left to its NIC, or that lacks its beginning, says little
// with the default settings, because nearly all of it drops: it is listed a second time with the check that hides the rest off.

import type { DropName } from "../../firmware/fastpath/verdicts.ts";

export interface Dropped {
  /** Numbers from 1: "3", "2-5, 9", "all". */
  readonly packets: string;
  readonly reason: DropName;
  /** The requirement, and where it is written. */
  readonly clause: string;
  readonly why: string;
}

export interface ExpectedCapture {
  /** Part of the capture's name. */
  readonly capture: string;
  /** Settings that differ from the defaults. */
  readonly checks?: { readonly checksums?: boolean; readonly midstream?: boolean };
  /** Empty: every packet passes. */
  readonly dropped: readonly Dropped[];
}

const drop = (packets: string, reason: DropName, clause: string, why: string): Dropped => ({ packets, reason, clause, why });
const noFlow = (why = "an error about a flow that is not live") => [drop("all", "icmp-unmatched", "N5; V1: 1 and 2 only with matching state", why)];
const noBeginning = (packets = "all") =>
  drop(packets, "no-session", "F3; RFC 9293 §3.10.7.2", "the capture has no SYN: a segment that opens nothing belongs to no session");
const offloaded = (packets: string) =>
  drop(packets, "bad-transport-checksum", "T7; RFC 9293 §3.1", "captured before the sender's NIC had filled the checksum in");
const tinyFragments = [
  drop("1", "fragment-invalid", "F5; RFC 1858 §3.2.1", "a first fragment that does not hold the TCP header"),
  drop("2", "fragment-invalid", "F5; RFC 1858 §3.2.2", "a fragment at offset 8 could rewrite the flags"),
  drop("3", "fragment-timeout", "F5", "the rest of a datagram that cannot be reassembled"),
];
const loopbackFragments = [drop("all", "bad-source", "F5; RFC 4291 §2.5.3", "::1 is on no wire")];

export const EXPECTED: readonly ExpectedCapture[] = [
  { capture: "icmp__5-pings", dropped: [] },
  { capture: "icmp__icmp-destunreach-ip.", dropped: noFlow("it quotes a header without a transport") },
  { capture: "icmp__icmp-destunreach-no-context", dropped: noFlow("it quotes nothing") },
  { capture: "icmp__icmp-destunreach-udp", dropped: noFlow() },
  { capture: "icmp__icmp-ping", dropped: [] },
  { capture: "icmp__icmp-timeexceeded", dropped: noFlow() },
  { capture: "icmp__icmp6-destunreach-ip6ext-trunc", dropped: noFlow("the quoted chain breaks off") },
  { capture: "icmp__icmp6-destunreach-ip6ext-udp", dropped: noFlow() },
  { capture: "icmp__icmp6-destunreach-ip6ext.", dropped: noFlow() },
  { capture: "icmp__icmp6-destunreach-no-context", dropped: noFlow("it quotes nothing") },
  { capture: "icmp__icmp6-mld-query", dropped: [] },
  { capture: "icmp__icmp6-mldv1", dropped: [] },
  { capture: "icmp__icmp6-mldv2", dropped: [] },
  {
    capture: "icmp__icmp6-nd-options",
    // Neighbour discovery may come from ::, and crosses a wire unjudged; a listener report may not (RFC 3590 tolerates it for
    // snooping switches only, and F5 knows no exception).
    dropped: [drop("12, 16", "bad-source", "F5; RFC 4291 §2.5.2", "a multicast listener report from the unspecified address")],
  },
  {
    capture: "icmp__icmp6-nd-short-options",
    dropped: [
      drop("1, 13", "bad-neighbour-discovery", "RFC 4861 §6.1.2", "a router advertisement shorter than 16 bytes"),
      drop("3, 14", "bad-neighbour-discovery", "RFC 4861 §7.1.2", "a neighbour advertisement shorter than 24 bytes"),
      drop("5, 15", "bad-neighbour-discovery", "RFC 4861 §7.1.1", "a neighbour solicitation shorter than 24 bytes"),
      drop("7, 16", "bad-neighbour-discovery", "RFC 4861 §8.1", "a redirect shorter than 40 bytes"),
    ],
  },
  { capture: "icmp__icmp6-neighbor-advert", dropped: [] },
  { capture: "icmp__icmp6-neighbor-solicit", dropped: [] },
  { capture: "icmp__icmp6-paramprob", dropped: noFlow() },
  { capture: "icmp__icmp6-ping", dropped: [] },
  { capture: "icmp__icmp6-redirect-hdr-opt", dropped: [] },
  { capture: "icmp__icmp6-redirect.", dropped: [] },
  { capture: "icmp__icmp6-router-advert", dropped: [] },
  { capture: "icmp__icmp6-router-solicit", dropped: [] },
  { capture: "icmp__icmp6-timeexceeded", dropped: noFlow() },
  { capture: "icmp__icmp6-toobig", dropped: noFlow() },

  { capture: "tcp__fin_retransmission", dropped: [drop("2", "bad-tcp-flags", "F3; RFC 9293 §3.10.7.4", "a FIN without ACK is no segment")] },
  {
    capture: "tcp__handshake-reorder",
    // The capture's order, not the network's: no SYN,ACK can pass before the SYN that it answers has.
    dropped: [
      drop("1", "no-session", "F3; RFC 9293 §3.10.7.2", "a SYN,ACK before its SYN"),
      drop("3-4, 6-14", "tcp-bad-state", "F3; RFC 9293 §3.10.7.3", "after the SYN,ACK was dropped the handshake is never completed"),
      // Packet 5, an empty ACK that does not acknowledge the SYN, is what a half-open peer would answer (RFC 9293 §3.5.1): it passes.
    ],
  },
  { capture: "tcp__http-on-irc-port-missing-syn", dropped: [noBeginning()] },
  {
    capture: "tcp__http-on-irc-port-missing-syn",
    checks: { midstream: true },
    dropped: [drop("1", "no-session", "T4, F3", "a SYN,ACK is no midstream segment: its SYN was seen by nobody")],
  },
  { capture: "tcp__miss_end_data", dropped: [] },
  { capture: "tcp__missing-syn", dropped: [noBeginning()] },
  {
    capture: "tcp__missing-syn",
    checks: { midstream: true },
    dropped: [drop("1", "no-session", "T4, F3", "a SYN,ACK is no midstream segment: its SYN was seen by nobody")],
  },
  { capture: "tcp__no-handshake", dropped: [noBeginning()] },
  { capture: "tcp__no-handshake", checks: { midstream: true }, dropped: [] },
  { capture: "tcp__one-sided-2745", dropped: [drop("all", "bad-source", "F5; RFC 6890", "245.0.0.0/8 is in 240.0.0.0/4")] },
  { capture: "tcp__option-27", dropped: [noBeginning()] },
  { capture: "tcp__option-sack", dropped: [drop("all", "bad-source", "F5; RFC 1122 §3.2.1.3", "127.0.0.0/8 is on no wire")] },
  { capture: "tcp__options", dropped: [] },
  { capture: "tcp__payload-syn.", dropped: [] },
  { capture: "tcp__payload-synack", dropped: [] },
  {
    capture: "tcp__qi_internet_SYNACK",
    // Data that somebody on the way has put in (packet 5) lies inside the windows: no window check can tell it from the server's.
    dropped: [drop("11-14", "no-session", "F4, T2", "the reset of packet 10 carries exactly what packet 7 expects next: the session is over")],
  },
  {
    capture: "tcp__reassembly",
    // Somebody has cut this capture and changed bytes in it. What is acknowledged of packets that did not pass was never sent.
    dropped: [
      drop("7, 26, 35, 39, 85", "truncated", "F5; RFC 1122 §3.2.1", "shorter than its IP header says"),
      drop("9, 16, 20, 31, 64, 68, 79, 91, 97, 112", "bad-transport-checksum", "T7; RFC 9293 §3.1", "its payload was changed"),
      drop("8, 10, 80, 86, 92, 98, 105", "tcp-out-of-window", "T1: ack ≤ receiver.end", "it acknowledges bytes that did not pass, or that the capture lacks"),
    ],
  },
  { capture: "tcp__retransmit-fast009", dropped: [drop("all", "bad-ip-checksum", "RFC 1122 §3.2.1.2", "the header checksum is zero")] },
  { capture: "tcp__retransmit-timeout", dropped: [noBeginning()] },
  { capture: "tcp__retransmit-timeout", checks: { midstream: true }, dropped: [] },
  {
    capture: "tcp__rst-inject-rae",
    dropped: [
      drop("2", "tcp-inexact-reset", "T2; RFC 9293 §3.10.7.3", "a reset that does not acknowledge the SYN"),
      drop("8-9", "no-session", "F4", "the reset of packet 7 carries exactly the next sequence number: the session is over"),
    ],
  },
  { capture: "tcp__single-rst", dropped: [noBeginning()] },
  {
    capture: "tcp__ssh-dups",
    dropped: [
      { ...offloaded("192.168.0.112"), packets: "from 192.168.0.112" },
      drop("from 192.168.0.102 but 1", "tcp-bad-state", "F3; RFC 9293 §3.10.7.3", "its SYN,ACK did not pass: the handshake is never completed"),
    ],
  },
  { capture: "tcp__ssh-dups", checks: { checksums: false }, dropped: [] },
  { capture: "tcp__syn-bad", dropped: [drop("1", "bad-transport-checksum", "T7; RFC 9293 §3.1", "the checksum is wrong")] },
  { capture: "tcp__syn-synack", dropped: [] },
  // A half-open peer answers a SYN with an ACK of what it expects, and the reset that this calls for carries that number (RFC 9293 §3.5.1).
  { capture: "tcp__syn-then-ack-then-rst", dropped: [] },
  {
    capture: "tcp__syn-then-rst",
    dropped: [drop("2", "tcp-inexact-reset", "T2; RFC 5961 §3.2", "a reset at the SYN's own number lies before what is expected next")],
  },
  { capture: "tcp__syn-then-stuff-then-rst", dropped: [drop("3", "bad-tcp-flags", "F3; RFC 9293 §3.10.7.4", "a FIN without ACK is no segment")] },
  { capture: "tcp__syn.", dropped: [] },
  { capture: "tcp__tcp-fast-open", dropped: [] },
  { capture: "tcp__timeout-with-pings", dropped: [] },
  { capture: "tcp__timestamp", checks: { checksums: false }, dropped: [] },
  { capture: "tcp__truncated-header", checks: { checksums: false }, dropped: [] },
  { capture: "tcp__window-scale-range", dropped: [] },

  { capture: "bug-6887-defrag-eth-vlan-ipv4-tcp-syn", dropped: tinyFragments },
  { capture: "bug-6887-defrag-ipv4-tcp-syn", dropped: tinyFragments },
  { capture: "bug-6887-defrag-ppp-ipv4-tcp-syn", dropped: tinyFragments },
  { capture: "bug-6887-defrag-eth-vlan-ipv6-tcp", dropped: loopbackFragments },
  { capture: "bug-6887-defrag-ipv6-tcp", dropped: loopbackFragments },
  { capture: "bug-6887-defrag-ppp-ipv6-tcp", dropped: loopbackFragments },
  { capture: "eth-ip-gre-ppp-max-ip-packet", dropped: [] },
  { capture: "firewall-116-ftp-all-data-ipv4", dropped: [] },
  { capture: "firewall-117-ftp-all-data-ipv6", dropped: [offloaded("all")] },
  { capture: "firewall-117-ftp-all-data-ipv6", checks: { checksums: false }, dropped: [] },
  { capture: "firewall-118-ftp-stou", dropped: [] },
  {
    capture: "icmp-ping-plus-weird-code",
    // Found by running it: the addresses that its author has made up for the other direction are no station's.
    dropped: [drop("3", "bad-source", "IEEE 802 §8.2.2", "its Ethernet source 05:04:03:02:01:00 is a group address")],
  },
  {
    capture: "tcp-session-decode-malformed-ipv4",
    dropped: [drop("8", "bad-ip-option", "V3; RFC 1108 §2.1", "a Security option of two bytes: too short for one, and not among the options that pass")],
  },
  { capture: "tcp-session-equivalence", dropped: [] },
  // Its packet 4 is an atomic fragment: a datagram of its own (V4, RFC 6946 §4).
  { capture: "tcp-session-ipv6-decode-malformed", dropped: [] },
  {
    capture: "tcp-session-ipv6-stream-out-of-window",
    dropped: [drop("3", "tcp-out-of-window", "T1: seq ≤ sender.maxend", "99,000 bytes beyond a window of 256")],
  },
  { capture: "tcp-session-midstream-policy", dropped: [noBeginning()] },
  { capture: "tcp-session-midstream-policy", checks: { midstream: true }, dropped: [] },
  { capture: "tcp-session-stream-out-of-window", dropped: [drop("3", "tcp-out-of-window", "T1: seq ≤ sender.maxend", "99,000 bytes beyond a window of 256")] },
  { capture: "tcp-session-syn-flood-drop-precedence", dropped: [] },
];
