// The generator: UDP datagrams of many sessions, evenly paced, over an AF_XDP socket on a core of its own.
//
//   generator DEVICE SINK ORDER FROM SESSIONS BYTES RATE MILLIS SOURCE-MAC GATEWAY-MAC back|forth PORT PROCESS
//
// ORDER `each`: one datagram of each session FROM … FROM + SESSIONS once; `random`: any of them, for MILLIS. RATE in packets/s; 0: as fast as it can.
// A session's number is its tuple: 16.x.x.x:port → 32.x.x.x:PORT. Checksums are right. Prints one JSON object:
// sent, arrived (received by SINK, a device of the same namespace, until 100 ms later), nanos of sending; of a window around it
// windowNanos, and of all cores together in it spinNanos (waited for the next packet's time, which is nobody's work) and
// idleNanos; ownNanos, the CPU time of this thread less what it waited, and processNanos, that of PROCESS (0: none).

#include "load.h"

#define HEADERS 42

static uint8_t *area;
static uint32_t frame_bytes;
static int is_back;
static uint16_t server_port;

/** All that is the same in each packet. */
static void template_fill(uint8_t *frame, const uint8_t *source, const uint8_t *gateway) {
  memset(frame, 0, frame_bytes);
  memcpy(frame, gateway, 6);
  memcpy(frame + 6, source, 6);
  static const uint8_t IP[] = {8, 0, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17};
  memcpy(frame + 12, IP, sizeof IP);
  put16(frame + 16, frame_bytes - 14);
  put16(frame + 38, frame_bytes - 34);
}

/** Makes the frame one of session `number`. */
static void frame_address(uint8_t *frame, uint32_t number) {
  uint32_t client = 0x10000000u | ((number * 0x9e3779b1u) >> 4 & 0x0fffffffu), server = 0x20000000u | (number & 0x0fffffffu);
  uint32_t client_port = 1024 + number % 60000;
  uint32_t from = is_back ? server : client, to = is_back ? client : server;
  uint32_t addresses = (from >> 16) + (from & 0xffff) + (to >> 16) + (to & 0xffff);
  put16(frame + 26, from >> 16), put16(frame + 28, from), put16(frame + 30, to >> 16), put16(frame + 32, to);
  put16(frame + 24, ~fold(0x4500 + (frame_bytes - 14) + 0x4000 + (64 << 8 | 17) + addresses));
  put16(frame + 34, is_back ? server_port : client_port), put16(frame + 36, is_back ? client_port : server_port);
  uint32_t sum = fold(17 + 2 * (frame_bytes - 34) + addresses + client_port + server_port);
  put16(frame + 40, sum == 0xffff ? 0xffff : ~sum);
}

static uint32_t next_random(void) {
  static uint32_t x = 88172645u;
  x ^= x << 13, x ^= x >> 17, x ^= x << 5;
  return x;
}

struct outcome {
  uint64_t sent, nanos, window, spin, idle, own, process;
};

/** Packets due by now go out together: one at a time up to some 300,000/s, then as many as a call's cost makes due. */
static struct outcome run(struct port *port, int is_random, uint32_t first, uint32_t sessions, double rate, uint64_t millis, clockid_t process) {
  struct outcome outcome = {0};
  uint32_t produced = 0, completed = 0;
  const double spacing = rate > 0 ? 1e9 / rate : 0;
  const uint64_t total = is_random ? UINT64_MAX : sessions;
  const struct edge opening = idle_edge();
  const uint64_t process_before = cpu_nanos(process), own_before = cpu_nanos(CLOCK_THREAD_CPUTIME_ID);
  const uint64_t start = now_nanos();
  const uint64_t end = is_random ? start + millis * 1000000u : UINT64_MAX;
  double due = 0;
  uint64_t now = start;
  while (now < end && outcome.sent < total) {
    uint64_t later = now_nanos();
    if (later - now < GAP_NANOS && (double)(later - start) < due) outcome.spin += later - now;
    now = later;
    if ((double)(now - start) < due) continue;
    // What could not be sent in time is not made up for: the rest of the second stays evenly paced.
    if ((double)(now - start) > due + 1e6) due = (double)(now - start);
    int added = 0;
    completed = load(port->completion.producer);
    store(port->completion.consumer, completed);
    while ((double)(now - start) >= due && added < 32 && produced - completed < SLOTS && outcome.sent < total) {
      uint32_t slot = produced & MASK;
      frame_address(area + slot * FRAME_BYTES, first + (is_random ? next_random() % sessions : (uint32_t)outcome.sent));
      ((struct xdp_desc *)port->tx.slots)[slot] = (struct xdp_desc){.addr = slot * FRAME_BYTES, .len = frame_bytes};
      produced++, added++, outcome.sent++;
      due += spacing;
    }
    store(port->tx.producer, produced);
    kick(port);
    now = now_nanos();
  }
  outcome.nanos = now_nanos() - start;
  while (load(port->tx.consumer) != produced && now_nanos() < start + outcome.nanos + 50000000u) kick(port);
  outcome.own = cpu_nanos(CLOCK_THREAD_CPUTIME_ID) - own_before - outcome.spin;
  const struct edge closing = idle_edge();
  outcome.process = cpu_nanos(process) - process_before;
  outcome.window = closing.at - opening.at;
  outcome.idle = closing.idle - opening.idle;
  outcome.spin += closing.waited;
  return outcome;
}

int main(int count, char **argument) {
  if (count != 14) return fprintf(stderr, "usage: see generator.c\n"), 2;
  const char *sink = argument[2];
  const uint32_t first = (uint32_t)atoi(argument[4]), sessions = (uint32_t)atoi(argument[5]);
  uint8_t source[6], gateway[6];
  frame_bytes = (uint32_t)atoi(argument[6]);
  mac_parse(argument[9], source);
  mac_parse(argument[10], gateway);
  is_back = strcmp(argument[11], "back") == 0;
  server_port = (uint16_t)atoi(argument[12]);
  area = area_create(SLOTS);
  for (uint32_t slot = 0; slot < SLOTS; slot++) template_fill(area + slot * FRAME_BYTES, source, gateway);
  struct port port = port_open(argument[1], area, SLOTS);
  clockid_t process = CLOCK_PROCESS_CPUTIME_ID;
  const int number = atoi(argument[13]);
  if (number != 0 && clock_getcpuclockid(number, &process) != 0) fail("the process's clock");
  uint64_t before = received(sink);
  struct outcome o = run(&port, strcmp(argument[3], "random") == 0, first, sessions, atof(argument[7]), (uint64_t)atoi(argument[8]), process);
  nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
  typedef unsigned long long number_t;
  printf("{\"sent\":%llu,\"arrived\":%llu,\"nanos\":%llu,\"windowNanos\":%llu,", (number_t)o.sent, (number_t)(received(sink) - before), (number_t)o.nanos,
         (number_t)o.window);
  printf("\"spinNanos\":%llu,\"idleNanos\":%llu,\"ownNanos\":%llu,\"processNanos\":%llu}\n", (number_t)o.spin, (number_t)o.idle, (number_t)o.own,
         (number_t)(number == 0 ? 0 : o.process));
  return 0;
}
