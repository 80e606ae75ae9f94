// What the programs that make load have in common: clocks and the idle time of all cores, counters of devices, bytes of packets.
#pragma once

#include "rings.h"

/** Two readings of the clock further apart than this: the core did something else than wait. */
#define GAP_NANOS 400u
#define EDGE_NANOS 50000000u

static inline uint64_t read_number(const char *path) {
  FILE *file = fopen(path, "r");
  unsigned long long value = 0;
  if (file == NULL || fscanf(file, "%llu", &value) != 1) fail(path);
  fclose(file);
  return value;
}

static inline uint64_t received(const char *device) {
  char path[128];
  snprintf(path, sizeof path, "/sys/class/net/%s/statistics/rx_packets", device);
  return read_number(path);
}

/** Idle time of all cores since boot: kept in nanoseconds, told in hundredths of a second. */
static inline uint64_t idle_nanos(void) {
  FILE *file = fopen("/proc/stat", "r");
  unsigned long long idle = 0, waiting = 0;
  if (file == NULL || fscanf(file, "cpu %*u %*u %*u %llu %llu", &idle, &waiting) != 2) fail("/proc/stat");
  fclose(file);
  return (idle + waiting) * 10000000u;
}

struct edge {
  uint64_t idle, at, waited;
};

/** Waits until the told idle time steps (some 10 ms while nothing is sent), so that a window between two edges is exact. */
static inline struct edge idle_edge(void) {
  uint64_t start = now_nanos(), before = idle_nanos();
  struct edge edge = {.idle = before, .at = start};
  while (edge.idle == before && edge.at < start + EDGE_NANOS) edge.idle = idle_nanos(), edge.at = now_nanos();
  edge.waited = edge.at - start;
  return edge;
}

static inline uint64_t cpu_nanos(clockid_t clock) {
  struct timespec t = {0};
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void put16(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static inline uint32_t fold(uint32_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

static inline void mac_parse(const char *text, uint8_t *mac) {
  unsigned b[6];
  if (sscanf(text, "%x:%x:%x:%x:%x:%x", b, b + 1, b + 2, b + 3, b + 4, b + 5) != 6) fail(text);
  for (int k = 0; k < 6; k++) mac[k] = (uint8_t)b[k];
}
