// The opener: new sessions, evenly paced, both ends of each played by one process on a core of its own.
//
//   opener LEFT RIGHT PATTERN FIRST SESSIONS RATE LAG-MICROS LEFT-MAC LEFT-GATEWAY RIGHT-MAC RIGHT-GATEWAY PORT PROCESS…
//
//   tcp     LEFT: SYN        ACK   FIN        ACK       a session's next packet follows LAG-MICROS after the one before it
//           RIGHT:    SYN,ACK          FIN,ACK
//   udp     LEFT: datagram   RIGHT: datagram
//   first   LEFT: datagram
//
// RATE in sessions/s. Sessions FIRST … FIRST + SESSIONS are numbered as the generator's; checksums are right. LEFT and RIGHT may be one device:
// an unplugged one. Nothing is answered, packets go when they are due; the program that judges looks whether all arrived. Prints what the generator
// prints; arrived: by both devices; processNanos: of all PROCESSes, until 100 ms after the last packet, as all of the window.

#include "load.h"

#define PROCESSES 8
#define BYTES 60u
#define SYN 0x02
#define ACK 0x10
#define FIN 0x01
#define CLIENT_SEQUENCE 1000u
#define SERVER_SEQUENCE 5000u
#define TAIL_NANOS 100000000u

struct step {
  int from_right;
  uint8_t flags;
  uint32_t sequence, acknowledgement;
};

struct pattern {
  const char *name;
  uint8_t protocol;
  uint32_t count;
  struct step steps[6];
};

static const struct pattern PATTERNS[] = {
    {"tcp",
     6,
     6,
     {{0, SYN, CLIENT_SEQUENCE, 0},
      {1, SYN | ACK, SERVER_SEQUENCE, CLIENT_SEQUENCE + 1},
      {0, ACK, CLIENT_SEQUENCE + 1, SERVER_SEQUENCE + 1},
      {0, FIN | ACK, CLIENT_SEQUENCE + 1, SERVER_SEQUENCE + 1},
      {1, FIN | ACK, SERVER_SEQUENCE + 1, CLIENT_SEQUENCE + 2},
      {0, ACK, CLIENT_SEQUENCE + 2, SERVER_SEQUENCE + 2}}},
    {"udp", 17, 2, {{0, 0, 0, 0}, {1, 0, 0, 0}}},
    {"first", 17, 1, {{0, 0, 0, 0}}},
};

/** One side: its device, and the Ethernet header of what it sends. */
struct side {
  const char *device;
  struct port port;
  uint8_t *area;
  uint8_t ethernet[12];
  uint32_t produced, completed;
};

static uint16_t server_port;

static void put32(uint8_t *at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value);
}

static void frame_write(uint8_t *frame, const struct side *side, uint8_t protocol, const struct step *step, uint32_t number) {
  const uint32_t client = 0x10000000u | ((number * 0x9e3779b1u) >> 4 & 0x0fffffffu), server = 0x20000000u | (number & 0x0fffffffu);
  const uint32_t client_port = 1024 + number % 60000;
  const uint32_t from = step->from_right ? server : client, to = step->from_right ? client : server;
  const uint32_t addresses = (from >> 16) + (from & 0xffff) + (to >> 16) + (to & 0xffff);
  const uint32_t transport = protocol == 6 ? 20 : BYTES - 34;
  memset(frame + 12, 0, BYTES - 12);
  memcpy(frame, side->ethernet, 12);
  put16(frame + 12, 0x0800);
  put16(frame + 14, 0x4500), put16(frame + 16, 20 + transport), put16(frame + 20, 0x4000), put16(frame + 22, 64u << 8 | protocol);
  put16(frame + 24, ~fold(0x4500 + 20 + transport + 0x4000 + (64u << 8 | protocol) + addresses));
  put32(frame + 26, from), put32(frame + 30, to);
  put16(frame + 34, step->from_right ? server_port : client_port), put16(frame + 36, step->from_right ? client_port : server_port);
  uint32_t sum = addresses + protocol + transport + client_port + server_port;
  if (protocol == 17) {
    put16(frame + 38, transport);
    sum = fold(sum + transport);
    put16(frame + 40, sum == 0xffff ? 0xffff : ~sum);
    return;
  }
  put32(frame + 38, step->sequence), put32(frame + 42, step->acknowledgement);
  put16(frame + 46, 0x5000u | step->flags), put16(frame + 48, 0xffff);
  sum += (step->sequence >> 16) + (step->sequence & 0xffff) + (step->acknowledgement >> 16) + (step->acknowledgement & 0xffff);
  put16(frame + 50, ~fold(sum + (0x5000u | step->flags) + 0xffff));
}

static void side_open(struct side *side, const char *device, const char *mac, const char *gateway) {
  side->device = device;
  side->area = area_create(SLOTS);
  side->port = port_open(device, side->area, SLOTS);
  mac_parse(gateway, side->ethernet);
  mac_parse(mac, side->ethernet + 6);
}

static void side_send(struct side *side) {
  if (load(side->port.tx.producer) == side->produced) return;
  store(side->port.tx.producer, side->produced);
  kick(&side->port);
}

struct outcome {
  uint64_t sent, nanos, spin, own;
};

/** Packet p of the run is step p mod steps of a session that began that many lags ago. */
static struct outcome run(struct side *const sides[2], const struct pattern *pattern, uint32_t first, uint32_t sessions, double rate, double lag_micros) {
  struct outcome outcome = {0};
  const uint32_t lag = (uint32_t)(rate * lag_micros / 1e6) + 1;
  const uint64_t total = (uint64_t)(sessions + lag * (pattern->count - 1)) * pattern->count;
  const double spacing = 1e9 / (rate * pattern->count);
  const uint64_t own_before = cpu_nanos(CLOCK_THREAD_CPUTIME_ID), start = now_nanos();
  uint64_t now = start;
  double due = 0;
  for (uint64_t p = 0; p < total;) {
    const uint64_t later = now_nanos();
    if (later - now < GAP_NANOS && (double)(later - start) < due) outcome.spin += later - now;
    now = later;
    if ((double)(now - start) < due) continue;
    // What could not be sent in time is not made up for: the rest stays evenly paced.
    if ((double)(now - start) > due + 1e6) due = (double)(now - start);
    for (int k = 0; k < 2; k++) {
      sides[k]->completed = load(sides[k]->port.completion.producer);
      store(sides[k]->port.completion.consumer, sides[k]->completed);
    }
    for (int added = 0; (double)(now - start) >= due && added < 32 && p < total; p++, due += spacing) {
      const uint32_t k = (uint32_t)(p % pattern->count);
      const uint64_t turn = p / pattern->count, behind = (uint64_t)lag * k;
      if (turn < behind || turn - behind >= sessions) continue;
      struct side *side = sides[pattern->steps[k].from_right];
      if (side->produced - side->completed >= SLOTS) break;
      const uint32_t slot = side->produced++ & MASK;
      frame_write(side->area + slot * FRAME_BYTES, side, pattern->protocol, &pattern->steps[k], first + (uint32_t)(turn - behind));
      ((struct xdp_desc *)side->port.tx.slots)[slot] = (struct xdp_desc){.addr = slot * FRAME_BYTES, .len = BYTES};
      added++, outcome.sent++;
    }
    side_send(sides[0]), side_send(sides[1]);
    now = now_nanos();
  }
  outcome.nanos = now_nanos() - start;
  for (int k = 0; k < 2; k++) {
    while (load(sides[k]->port.tx.consumer) != sides[k]->produced && now_nanos() < start + outcome.nanos + 50000000u) kick(&sides[k]->port);
  }
  outcome.own = cpu_nanos(CLOCK_THREAD_CPUTIME_ID) - own_before - outcome.spin;
  return outcome;
}

static uint64_t processes_nanos(const clockid_t *clocks, int count) {
  uint64_t nanos = 0;
  for (int k = 0; k < count; k++) nanos += cpu_nanos(clocks[k]);
  return nanos;
}

int main(int count, char **argument) {
  if (count < 13 || count > 13 + PROCESSES) return fprintf(stderr, "usage: see opener.c\n"), 2;
  const struct pattern *pattern = PATTERNS;
  while (strcmp(pattern->name, argument[3]) != 0) {
    if (++pattern == PATTERNS + sizeof PATTERNS / sizeof *PATTERNS) return fprintf(stderr, "usage: see opener.c\n"), 2;
  }
  const int is_one = strcmp(argument[1], argument[2]) == 0;
  struct side left, right;
  side_open(&left, argument[1], argument[8], argument[9]);
  if (!is_one) side_open(&right, argument[2], argument[10], argument[11]);
  struct side *const sides[2] = {&left, is_one ? &left : &right};
  server_port = (uint16_t)atoi(argument[12]);
  clockid_t clocks[PROCESSES];
  const int processes = count - 13;
  for (int k = 0; k < processes; k++) {
    if (clock_getcpuclockid(atoi(argument[13 + k]), &clocks[k]) != 0) fail("a process's clock");
  }
  const uint64_t before = received(sides[0]->device) + (is_one ? 0 : received(sides[1]->device));
  const struct edge opening = idle_edge();
  const uint64_t process_before = processes_nanos(clocks, processes);
  const struct outcome o = run(sides, pattern, (uint32_t)atoi(argument[4]), (uint32_t)atoi(argument[5]), atof(argument[6]), atof(argument[7]));
  nanosleep(&(struct timespec){.tv_nsec = TAIL_NANOS}, NULL);
  const struct edge closing = idle_edge();
  const uint64_t process = processes_nanos(clocks, processes) - process_before;
  const uint64_t arrived = received(sides[0]->device) + (is_one ? 0 : received(sides[1]->device)) - before;
  typedef unsigned long long number_t;
  printf("{\"sent\":%llu,\"arrived\":%llu,\"nanos\":%llu,\"windowNanos\":%llu,", (number_t)o.sent, (number_t)arrived, (number_t)o.nanos,
         (number_t)(closing.at - opening.at));
  printf("\"spinNanos\":%llu,\"idleNanos\":%llu,\"ownNanos\":%llu,\"processNanos\":%llu}\n", (number_t)(o.spin + closing.waited),
         (number_t)(closing.idle - opening.idle), (number_t)o.own, (number_t)process);
  return 0;
}
