// What managers allow each other: sizes, counts and patience.

/** Of the control channel's TCP; the notices' UDP port is the one below. */
export const CONTROL_PORT = 21_592;

/** The longest message: a configuration of 10,000 rules has 2 MiB. */
export const MESSAGE_BYTES_MOST = 8 * 1_048_576;
/** Until the other side has said who it is. */
export const BEFORE_HELLO_BYTES_MOST = 65_536;
/** Waiting to leave; a peer that lets more wait does not read. */
export const UNSENT_BYTES_MOST = 2 * MESSAGE_BYTES_MOST;
/** A message that began must be complete by then. */
export const FRAME_MILLIS_MOST = 10_000;
/** A conversation says something this often. */
export const PING_MILLIS = 1_000;
/** It ends when nothing was heard for so long. */
export const SILENCE_MILLIS = 5_000;

/** From a TCP connection to the end of its TLS handshake. */
export const HANDSHAKE_MILLIS = 5_000;
/** Connections whose handshake is not over. */
export const HANDSHAKES_MOST = 16;
/** Between two attempts to reach a peer: doubled from the first to the second. */
export const DIAL_MILLIS_LEAST = 250;
export const DIAL_MILLIS_MOST = 8_000;
/** Addresses that are kept per unit, the latest ones: whoever shouts a wrong one does not hide the right one. */
export const ADDRESSES_MOST = 4;

/** A new secret for each pair this often. */
export const REKEY_MILLIS = 3_600_000;
/** A refusal of one kind is told once in this time; each is counted. */
export const REFUSED_QUIET_MILLIS = 60_000;

/** How long pairing stays open for a person who walks to the other unit. */
export const PAIRING_OPEN_MILLIS = 300_000;
/** A run of pairing takes some round trips. */
export const PAIRING_RUN_MILLIS = 10_000;
/** Runs that may fail, one code each, until nothing is opened for a while. */
export const PAIRING_TRIES = 3;
export const PAIRING_SHUT_MILLIS = 600_000;
/** Between two attempts to find the other unit open. */
export const PAIRING_DIAL_MILLIS = 1_000;
