// What people and the store query: views over the live tables in words, with names for numbers and durations for clock values.
// They are SQL over SQL: an equality on `state`, `owner` or `rule` still goes down into the native scan.

import { STATE_NAMES } from "../../fastpath/memory/tables.ts";
import { UNITS } from "../../limits.ts";

/** Names that the tables do not hold: they come from the plan. */
export interface LiveNames {
  /** By unit number, from 1. */
  readonly units: readonly { readonly number: number; readonly name: string }[];
  readonly zones: readonly { readonly number: number; readonly name: string }[];
  readonly ports: readonly { readonly number: number; readonly name: string; readonly kind: string }[];
  readonly rules: readonly { readonly number: number; readonly name: string; readonly action: string }[];
}

export const NO_NAMES: LiveNames = { units: [], zones: [], ports: [], rules: [] };

/** Tables that the names are put into, before the views that read them. */
export const NAME_TABLES = `
  CREATE TEMP TABLE unit_names (number INTEGER PRIMARY KEY, name TEXT);
  CREATE TEMP TABLE zone_names (number INTEGER PRIMARY KEY, name TEXT);
  CREATE TEMP TABLE port_names (number INTEGER PRIMARY KEY, name TEXT, kind TEXT);
  CREATE TEMP TABLE rule_names (number INTEGER PRIMARY KEY, name TEXT, action TEXT);`;

const NOW_MILLIS = "(SELECT CAST(breath_at / 1000 AS INTEGER) FROM live_header)";
const HERE = "(SELECT unit FROM live_header)";

/** Milliseconds since a clock value of 32 bits, which wraps. */
function since(column: string): string {
  return `((${NOW_MILLIS} - ${column} + 2147483648) & 4294967295) - 2147483648`;
}

function named(table: string, number: string): string {
  return `coalesce((SELECT name FROM ${table} WHERE ${table}.number = ${number}), CAST(${number} AS TEXT))`;
}

/** Bits of a unit set as "B1, B2"; NULL when none is set. */
function unitSet(column: string): string {
  const each = Array.from(
    { length: UNITS - 1 },
    (_, k) => `CASE WHEN ${column} & ${1 << (k + 1)} THEN ', ' || ${named("unit_names", String(k + 1))} ELSE '' END`,
  );
  return `nullif(substr(${each.join(" || ")}, 3), '')`;
}

const PROTOCOL = `CASE originator_protocol WHEN 1 THEN 'icmp' WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp' WHEN 58 THEN 'icmpv6' ELSE CAST(originator_protocol AS TEXT) END`;
const REPLICA = `CASE WHEN owner = ${HERE} THEN coalesce('held by ' || ${unitSet("acknowledged")}, 'held by nobody else') ELSE 'replica of ' || owner END`;

const VIEWS: Readonly<Record<string, string>> = {
  sessions: `SELECT row,
    creator || '-' || id_incarnation || '-' || ((creator_serial_high << 32) | id_serial) AS id, ${PROTOCOL} AS protocol,
    originator_source AS source, originator_source_port AS source_port, originator_destination AS destination, originator_destination_port AS destination_port,
    responder_source AS reply_source, responder_source_port AS reply_source_port, responder_destination AS reply_destination, responder_destination_port AS reply_destination_port,
    ${named("zone_names", "originator_zone")} AS from_zone, ${named("zone_names", "responder_zone")} AS to_zone,
    state, owner, entry_unit, exit_unit, ${REPLICA} AS replica, ${unitSet("refused")} AS refused_by, rule,
    originator_packets AS packets_out, originator_bytes AS bytes_out, responder_packets AS packets_back, responder_bytes AS bytes_back,
    originator_packets + responder_packets AS packets, originator_bytes + responder_bytes AS bytes,
    ${since("created")} AS age_millis, ${since("last_seen")} AS idle_millis, idle_limit AS idle_limit_millis, epoch, version, revision
    FROM live_sessions`,
  members: `SELECT unit, state, role, incarnation, term, nullif(successor, 'none') AS successor, CASE WHEN last_heard <> 0 THEN ${since("last_heard")} END AS silent_millis, twin_path, data_path,
    round_trip AS round_trip_micros, lag_rows, lag_micros, sweeping, digests_equal, associated, rows_sent, rows_received, handed_off, handed_here,
    heartbeats_received, frames_rejected, mtu AS mtu_bytes, priority, drained, behind, stalls, twin_lost, ports_down, monitored_silent, disk_ailing,
    exposed_unit, exposed_site, exposed_link FROM live_members`,
  paths: `SELECT unit, CASE path WHEN 0 THEN 'twin' ELSE ${named("port_names", "path - 1")} END AS path, up, round_trip AS round_trip_micros, loss AS loss_per_mille,
    nullif(mtu, 0) AS mtu_bytes FROM live_paths`,
  counters: `SELECT name, kind, value, nullif(sentence, '') AS sentence FROM live_counters WHERE row > 0`,
  ports: `SELECT number, ${named("port_names", "live_ports.number")} AS name, (SELECT kind FROM port_names WHERE port_names.number = live_ports.number) AS kind, state,
    received_packets, received_bytes, transmitted_packets, transmitted_bytes, transmit_full, receive_missed, receive_errors FROM live_ports WHERE number >= 0`,
  neighbours: `SELECT address, nullif(mac, '00:00:00:00:00:00') AS mac, state, ${since("confirmed")} AS confirmed_millis, tries, queued, entry FROM live_neighbours`,
  rules: `SELECT row AS number, (SELECT name FROM rule_names WHERE number = row) AS name, (SELECT action FROM rule_names WHERE number = row) AS action, hits,
    CASE WHEN hits > 0 THEN ${since("last_hit")} END AS last_hit_millis FROM live_rules`,
};

/** `CREATE TEMP VIEW` for every view. */
export const CREATE_VIEWS = Object.entries(VIEWS)
  .map(([name, select]) => `CREATE TEMP VIEW ${name} AS ${select};`)
  .join("\n");

/** Session states that mean "over": hidden unless asked for. */
export const ENDED_STATE = STATE_NAMES.at(-1) as string;
