// Every capacity and every default timer, in one place. Nothing in Twinwall grows: what is not sized here does not
// exist. Relations between limits are asserted at start-up (`assertLimits`), so that a change that breaks one is found
// before a packet is.

/** Units that one logical firewall can have, plus one: unit 0 is "nobody". A1 = 1, A2 = 2, B1 = 3, B2 = 4. */
export const UNITS = 5;
/** What units are called, by number: site and index. */
export const UNIT_NAMES = ["none", "A1", "A2", "B1", "B2"] as const;
/** Ports of one unit: data ports and twin ports. */
export const PORTS = 4;
/** The second carries everything when the first does not work, or works worse. */
export const TWIN_PORTS_MOST = 2;
/** Security zones; zone 0 is "none". */
export const ZONES = 64;

export const SESSIONS_DEFAULT = 262_144;
export const SESSIONS_MOST = 1_048_576;
/** Slots of the session index per row: two directions per row at load ≤ 0.5. */
export const INDEX_SLOTS_PER_ROW = 4;
/** An index probe that walks further than this is a full table for that tuple. */
export const INDEX_PROBES = 64;

export const RULES = 10_000;
export const ROUTES = 4_096;
/**
 * A policy that was compiled outside the dataplane (fastpath/policy-image.ts): room for one, of which there are two, and how much of it is
 * read in a breath. A larger one is compiled by the dataplane itself at its start.
 */
export const POLICY_IMAGE_BYTES = 16 * 1_048_576;
export const POLICY_SLICE_BYTES = 262_144;
/** Session rows looked at in a tick after the policy has changed, later on, and how many of them meet the policy. */
export const REVIEW_ROWS = 2_048;
export const REVIEW_ROWS_LATER = 64;
export const REVIEW_DECISIONS = 256;
/** Words of running rules, routes and zones that are summed in a tick, to see whether they are still what was compiled: some 5 us. */
export const DRIFT_WORDS = 4_096;
/** Named addresses, services and groups, of each kind; members of each; and what a group may come to with all the groups in it. */
export const OBJECTS = 4_096;
export const OBJECT_MEMBERS = 1_024;
export const OBJECT_EXPANDED = 10_000;
/** Configuration revisions that a unit keeps whole. */
export const REVISIONS = 100;
/** Revisions of which a unit remembers at least what they followed: one that was away for longer sees a conflict. */
export const REVISIONS_KNOWN = 10_000;
/** Lines of the audit log that are kept of each unit. */
export const AUDIT_LINES = 10_000;
/** Lines of it that go to another unit in one message, and how often units compare what they have. */
export const AUDIT_SHARE_LINES = 200;
export const AUDIT_SHARE_MILLIS = 5_000;
/** How long all units have to answer to a commit, and then to say that it is in force. */
export const COMMIT_ANSWER_MILLIS = 10_000;
export const COMMIT_APPLIED_MILLIS = 5_000;
/** Units tell each other so often which revision is in force. */
export const HEAD_MILLIS = 2_000;
/** How often it is written down how long a commit can still be confirmed. */
export const CONFIRM_KEEP_MILLIS = 10_000;
export const NEIGHBOURS = 4_096;
/** Transparent mode: stations remembered behind the wires, a power of two; how often, and how many at once, a standby is told of them. */
export const WIRE_STATIONS = 1_024;
export const STATIONS_MILLIS = 100;
export const STATIONS_PER_RECORD = 32;
/** Packets that wait for one unresolved next hop, and for all of them. */
export const RESOLVE_QUEUE_PER_HOP = 32;
export const RESOLVE_QUEUE = 256;
/** First wait for an answer; doubled with each request. RFC 4861 §10 and RFC 1122 §2.3.2.1 allow one a second in the long run. */
export const NEIGHBOUR_RETRY_MILLIS = 250;
/** Requests before a next hop counts as failed. */
export const NEIGHBOUR_TRIES = 4;
/** A neighbour is asked again after this, used or not, before anybody needs to know. */
export const NEIGHBOUR_REACHABLE_MILLIS = 30_000;
/** A failed one is not asked for again so soon. */
export const NEIGHBOUR_FAILED_MILLIS = 1_000;
/** Rows that may wait for an answer: a scan of a large network must not push out neighbours that answered. */
export const NEIGHBOURS_RESOLVING = 1_024;

/** Datagrams whose fragments are gathered (or remembered as dead), and fragments held: in all, for one source (IPv4 address, IPv6 /64), for one datagram. */
export const FRAGMENT_DATAGRAMS = 512;
export const FRAGMENT_DATAGRAMS_PER_SOURCE = 64;
export const FRAGMENTS_HELD = 1_024;
export const FRAGMENTS_HELD_PER_SOURCE = 256;
/** 65,535 bytes through a link of 576 are 119. */
export const FRAGMENTS_PER_DATAGRAM = 128;
/** Counts per source lie in so many slots, by keyed hash; sources that share a slot share its limit. */
export const FRAGMENT_SOURCES = 1_024;
/** From a datagram's first fragment on. IPv4: before a busy sender comes by the same identification again (RFC 4963 §4). IPv6: RFC 8200 §4.5. */
export const FRAGMENT_MILLIS_V4 = 30_000;
export const FRAGMENT_MILLIS_V6 = 60_000;
/** An incomplete datagram goes to the unit that gathers for both sites after this; what comes of it later follows at once, for so long. */
export const FRAGMENT_GATHER_MILLIS = 10;
export const FRAGMENT_FOLLOW_MILLIS = 2_000;

/** Packets of our own that strangers can cause: so many at once, then so many per second. RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8. */
export const ICMP_ERROR_BURST = 50;
export const ICMP_ERRORS_PER_SECOND = 200;
export const RESET_BURST = 100;
export const RESETS_PER_SECOND = 500;
export const ECHO_BURST = 100;
export const ECHOES_PER_SECOND = 1_000;

/** Packet memory: one area for all ports of a unit. */
export const FRAME_BYTES = 2_048;
export const FRAMES = 16_384;
/** AF_XDP leaves 256 bytes before the data; 2 more put an IPv4 header on a multiple of four. */
export const FRAME_HEADROOM_BYTES = 258;
/** A stall of 30 ms at 64,000 packets/s fits a ring. */
export const RING_SLOTS = 2_048;
/** Frames that a twin port may hold for transmission: behind them even a heartbeat waits, 6 ms at 1 Gbit/s. What it does not take waits in classes. */
export const TWIN_RING_FRAMES = 512;
/** Packets that one port delivers per breath. */
export const BATCH = 256;
/** Longest Ethernet frame that fits a packet frame. */
export const PACKET_BYTES_MOST = FRAME_BYTES - FRAME_HEADROOM_BYTES - 64;

export const EVENTS = 4_096;
/** Events of one kind: so many at once, then so many per second; the rest is counted. */
export const EVENT_BURST = 64;
export const EVENTS_PER_SECOND = 50;
export const COMMANDS = 64;
export const CHANGES = 65_536;

export const HEARTBEAT_MILLIS = 20;
export const HEARTBEAT_MISSES = 5;
export const REJOIN_LIMIT_MILLIS = 250;
export const RESTART_GRACE_MILLIS = 600;
/** Which unit of a pair is preferred: the higher number, then the lower unit. */
export const PRIORITY_DEFAULT = 100;
/** A unit that was worse and is better again counts as better after this; doubled each time within a minute, up to the most. */
export const HEALTH_HOLD_MILLIS = 2_000;
export const HEALTH_HOLD_MILLIS_MOST = 60_000;
/** A monitored address that is silent for so long counts as an ailment; deaths are told with the detection time. */
export const MONITORED_SILENT_MILLIS = 1_000;
/** A mate must have been healthier for so many heartbeats, or for so long if ports and twin are as good, before a unit gives way: both notice what fails for both, at different moments. */
export const RELIEF_BEATS = 2;
export const RELIEF_MINOR_MILLIS = 500;
/** So many pauses of the loop within ten seconds are an ailment. */
export const STALLS_MOST = 3;
export const STALLS_MILLIS = 10_000;
/** How long an active unit that gives way waits, silent, for its mate to acknowledge its last rows. */
export const YIELD_LIMIT_MILLIS = 50;
/** A unit gives way only to one that is not further behind. */
export const YIELD_LAG_MILLIS = 500;
/** Longest wait in `poll` when nothing arrives. */
export const TICK_MILLIS = 5;

/** The store: longest step, time between looks at every row, and after which a row is written again that only saw packets. */
export const STORE_SLICE_MILLIS = 5;
export const CHECKPOINT_MILLIS = 2_000;
export const CHECKPOINT_REFRESH_MILLIS = 30_000;
/** Events that the log keeps, and characters of each sentence and of its fields: 70 MB as they are, 250 MB at the very most. */
export const EVENTS_KEPT = 100_000;
export const EVENT_TEXT_MOST = 1_000;

/** Replay window of one key and path, in frames (RFC 6479 style). */
export const REPLAY_WINDOW = 8_192;
export const DIGEST_BUCKETS = 256;
/** How often a unit greets a peer that has not proved itself yet, and the least time between two answers to it. */
export const HELLO_MILLIS = 100;
export const HELLO_ANSWER_MILLIS = 5;
/** Greetings that are verified per breath: each costs a hash, and anybody on the wire can send them. */
export const HELLOS_PER_BREATH = 16;
/** A sealing key is replaced after so many frames or so long; the old one opens frames until this long after the new one did. */
export const KEY_FRAMES = 2 ** 30;
export const KEY_MILLIS = 3_600_000;
export const KEY_RETIRE_MILLIS = 2_000;
/** Frames that wait per transmit class of the twin port, and frames that one flush seals. */
export const TWIN_QUEUE = 512;
export const SEAL_BATCH = 512;
/** Payload that every twin segment carries; more is discovered. */
export const TWIN_MTU_BYTES = 1_500;
/** MTU probing: between two probes, and between two checks of what was found. */
export const PROBE_MILLIS = 200;
export const PROBE_CHECK_MILLIS = 10_000;
/** Succession records kept per unit, newest incarnations first. */
export const SUCCESSIONS_PER_UNIT = 4;
/** How often digests are compared with each peer. */
export const DIGEST_MILLIS = 500;
/** Rows sent to one peer in a breath, and rows that a walk over the table looks at in a breath: each well below 1 ms. */
export const ROWS_SENT_PER_BREATH = 256;
/** Rows and answers to a peer wait for so long for more of them, counted from the last ones; so many rows fill some frames and do not wait. */
export const ROWS_GATHERED_MICROS = 200;
export const ROWS_GATHERED = 48;
export const ROWS_SCANNED_PER_BREATH = 4_096;
/** While packets wait (a port delivered a full batch): rows sent to a peer in bulk and rows that a walk looks at in a breath, and the share of time for both. */
export const BULK_PORTION_ROWS = 32;
export const BULK_PORTION_SCANS = 256;
export const BULK_SHARE = 0.04;
/** A passive site passes nothing on for so long after its link with the active one begins: that one announces the gateways meanwhile. */
export const SITE_SETTLE_MILLIS = 100;
/** Replicas that a succession left behind are offered to the successor after this, when it has had time to rewrite them; and again after that. */
export const ESTATE_OFFER_MILLIS = 1_500;
export const ESTATE_AGAIN_MILLIS = 1_000;
/** A unit that hears of an earlier life of its own waits so long for the heir's claim, then claims it itself. */
export const OWN_ORPHAN_MILLIS = 500;
/** Acknowledgements that wait for the end of the breath, per peer; what exceeds them is sent again by the owner. */
export const ACKNOWLEDGEMENTS = 4_096;
/** A row is sent again when it was not acknowledged within four round trips, at least this; without a known round trip, this times five. */
export const RESEND_MILLIS = 10;
/** Sessions whose state waits for the winner of a conflict. */
export const YIELDS = 1_024;
/** A receiver keeps a tombstone until the replay window has passed its frame, or this long: no frame is delayed longer. */
export const TOMBSTONE_GUARD_MILLIS = 10_000;
/** A peer that pins more than one row in this many with tombstones is swept instead. */
export const TOMBSTONE_SHARE = 16;

/** Rows that are looked at per tick to say what would be lost now: 30 us. */
export const ROWS_COUNTED_PER_TICK = 2_048;
/** First packets that are held until their session is replicated, and how long at the most; under `auto` from this round trip on, back to asking below half of it. */
export const FIRST_PACKETS = 512;
export const HOLD_MILLIS = 250;
export const HOLD_ROUND_TRIP_MICROS = 2_000;
/** Who stops holding goes on for so long: peers have to hear of it first. */
export const HOLD_AFTER_MILLIS = 1_000;
/** Grants of sessions that are not acknowledged, at the most; and packets in a row at the other site after which a session follows. */
export const GRANTS = 1_024;
export const FOLLOW_PACKETS = 64;
/** Halves of handed-off packets that wait for their other half, and for how long. */
export const HANDOFF_HALVES = 256;
export const HANDOFF_HALF_MILLIS = 100;
/** Questions to the twin: in all (a tenth of a 1 Gbit/s link at 200 bytes), and from one source prefix (/24, /64). */
export const QUERIES_PER_SECOND = 50_000;
export const QUERY_BURST = 4_096;
export const QUERIES_PER_PREFIX_SECOND = 5_000;
export const QUERY_PREFIX_BURST = 2_048;
export const QUERY_PREFIXES = 1_024;

/** A direction that advanced by half of this (or of its largest window, if larger) makes its row dirty. */
export const REFRESH_BYTES = 1_048_576;

/** Idle timers, by what a session is doing. REQUIREMENTS T6, N2, N3. */
export const IDLE_MILLIS = {
  tcpOpening: 240_000,
  tcpEstablished: 7_440_000,
  tcpClosing: 240_000,
  tcpReset: 10_000,
  tcpTimeWait: 1_000,
  udpOneWay: 120_000,
  udpBothWays: 300_000,
  icmpQuery: 60_000,
  other: 120_000,
} as const;

/** Half-open TCP sessions that one destination may have, over all sites (F9); half of it per site while both may live. */
export const HALF_OPEN_PER_DESTINATION = 4_096;
/** Half-open sessions take one row in this many at the most; together with ended ones twice that, so that no flood of SYNs fills the table. */
export const HALF_OPEN_SHARE = 4;

/** SYNs within live sessions that are remembered until they are answered: both ends may have forgotten the old connection. */
export const REOPENINGS = 1_024;

/** What is checked unless it is configured otherwise. REQUIREMENTS F5, F6, T4, T7, V3. */
export const CHECKS = {
  checksums: true,
  reversePath: true,
  ownSource: true,
  linkLocal: true,
  strictIpv6: false,
  midstream: "drop",
  ipv4Options: ["router-alert"],
} as const;

/** How long a closed session's row stays as a tombstone at least. */
export const TOMBSTONE_MILLIS = 2_000;

/** Serial console: characters of a line, lines of history, keys typed ahead, characters waiting to be sent, bytes of an escape sequence. */
export const CONSOLE_LINE_MOST = 512;
export const CONSOLE_HISTORY = 50;
export const CONSOLE_TYPE_AHEAD = 256;
export const CONSOLE_QUEUE = 4_096;
export const CONSOLE_ESCAPE_MOST = 32;
/** Wrong lines in a row after which the console takes what it gets for noise, and the silence that ends it. */
export const CONSOLE_WRONG_LINES = 20;
export const CONSOLE_NOISE_MILLIS = 1_000;
/** Who comes back to the keyboard after this time is greeted anew. */
export const CONSOLE_IDLE_MILLIS = 600_000;
/** A command that says nothing for so long is stopped; memory that it may use. */
export const CONSOLE_SILENT_MILLIS = 60_000;
export const CONSOLE_HEAP_MEGABYTES = 192;

/** Throws when two limits contradict each other; called once by every process at start. */
export function assertLimits(): void {
  const power = (n: number) => n > 0 && (n & (n - 1)) === 0;
  const must: readonly [string, boolean][] = [
    ["SESSIONS_MOST is a power of two", power(SESSIONS_MOST)],
    ["SESSIONS_DEFAULT is a power of two", power(SESSIONS_DEFAULT)],
    ["index load is at most 0.5", INDEX_SLOTS_PER_ROW >= 4 && power(INDEX_SLOTS_PER_ROW)],
    ["a frame is a power of two", power(FRAME_BYTES)],
    ["a frame holds headroom and a 1,514-byte packet", PACKET_BYTES_MOST >= 1_514],
    ["every port's rings fit packet memory", FRAMES >= PORTS * RING_SLOTS * 2],
    ["a batch fits a ring", BATCH <= RING_SLOTS],
    ["a twin port's frames fit its ring, and a batch fits them", TWIN_RING_FRAMES <= RING_SLOTS && SEAL_BATCH <= TWIN_RING_FRAMES],
    ["rings are powers of two", power(RING_SLOTS) && power(EVENTS) && power(COMMANDS) && power(CHANGES)],
    ["unit numbers fit an owner word", UNITS <= 128],
    ["every unit number has a name", UNIT_NAMES.length === UNITS],
    ["a burst of events fits the ring", EVENT_BURST < EVENTS],
    ["the event log keeps more than the ring", EVENTS_KEPT >= EVENTS],
    ["held fragments leave packet memory to the ports", FRAGMENTS_HELD <= FRAMES / 8 && FRAGMENTS_HELD <= RING_SLOTS],
    ["fragment tables are powers of two", power(FRAGMENT_DATAGRAMS) && power(FRAGMENT_SOURCES)],
    ["no datagram fills its source's share, no source all", FRAGMENTS_PER_DATAGRAM < FRAGMENTS_HELD_PER_SOURCE && FRAGMENTS_HELD_PER_SOURCE < FRAGMENTS_HELD],
    ["no source has all datagrams", FRAGMENT_DATAGRAMS_PER_SOURCE < FRAGMENT_DATAGRAMS],
    ["a refresh is rarer than a checkpoint", CHECKPOINT_REFRESH_MILLIS > CHECKPOINT_MILLIS],
    ["a twin queue and a seal batch are powers of two", power(TWIN_QUEUE) && power(SEAL_BATCH)],
    ["a twin frame fits a packet frame", TWIN_MTU_BYTES + 14 <= PACKET_BYTES_MOST],
    ["the replay window is whole words", REPLAY_WINDOW % 32 === 0],
    ["half-open limits can be shared by two sites", HALF_OPEN_PER_DESTINATION >= 2 && power(HALF_OPEN_SHARE) && HALF_OPEN_SHARE >= 2],
    ["remembered SYNs are a power of two", power(REOPENINGS)],
    ["a console's queue holds a line and its drawing", CONSOLE_QUEUE >= CONSOLE_LINE_MOST * 4],
    ["a rejoin ends before a restart's grace", REJOIN_LIMIT_MILLIS < RESTART_GRACE_MILLIS],
  ];
  for (const [sentence, holds] of must) if (!holds) throw new Error(`limits.ts: it must hold that ${sentence}`);
}
