// How long a reply takes, from the host that sends it to the host that it is for, by either way through a pair of devices: in at the one that
// owns its session, or in at the other one, which hands it over.
//
//   latency OWNER OTHER SESSIONS RATE BLOCK PACKETS MAC GATEWAY-MAC PORT spin|sleep
//
//   namespace OWNER: right ─► owner ─► left (all replies come out here)      namespace OTHER: right ─► other ═► owner
//
// Replies of SESSIONS (numbered as the generator's) go in blocks of BLOCK packets, one way and the other in turn, PACKETS in all, RATE per second
// throughout, so that both ways are seen at the same moment. A packet's time is from just before it is sent to when the kernel has received it on
// `left` (SO_TIMESTAMPNS). Between two packets it spins, or sleeps where it shares its core with a device.
// Prints one JSON object: for `straight` and for `handed` sent, arrived, and p50 and p99 in microseconds.

#include "load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#define BYTES 60u
#define INDEX 42u
#define MARK 0x54574c41u
#define TAIL_NANOS 100000000u
#define WAYS 2

static uint8_t frame[BYTES];
static uint16_t server_port;
static uint64_t *sent_at, *took;
static uint32_t packets, block;

static uint64_t wall_nanos(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void put32(uint8_t *at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value);
}

static uint32_t get32(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

/** A packet socket on a device of a namespace; `protocol`: what it receives, 0 = nothing. */
static int socket_in(const char *namespace, const char *device, int protocol) {
  char path[128];
  snprintf(path, sizeof path, "/run/netns/%s", namespace);
  const int there = open(path, O_RDONLY | O_CLOEXEC);
  if (there < 0 || setns(there, CLONE_NEWNET)) fail(path);
  close(there);
  const int fd = socket(AF_PACKET, SOCK_RAW, 0);
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol), .sll_ifindex = (int)if_nametoindex(device)};
  const int yes = 1, room = 8 << 20;
  if (fd < 0 || address.sll_ifindex == 0 || setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes)) fail(device);
  if (protocol != 0) {
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes)) fail("PACKET_IGNORE_OUTGOING");
    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes)) fail("SO_TIMESTAMPNS");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  }
  if (bind(fd, (struct sockaddr *)&address, sizeof address)) fail("binding");
  return fd;
}

static void template_fill(const char *mac, const char *gateway) {
  static const uint8_t IP[] = {8, 0, 0x45, 0, 0, BYTES - 14, 0, 0, 0x40, 0, 64, 17};
  mac_parse(gateway, frame);
  mac_parse(mac, frame + 6);
  memcpy(frame + 12, IP, sizeof IP);
  put16(frame + 38, BYTES - 34);
  put32(frame + INDEX + 4, MARK);
}

/** Makes the frame a reply of session `number`, packet `index` of this run. */
static void frame_address(uint32_t number, uint32_t index) {
  const uint32_t client = 0x10000000u | ((number * 0x9e3779b1u) >> 4 & 0x0fffffffu), server = 0x20000000u | (number & 0x0fffffffu);
  const uint32_t client_port = 1024 + number % 60000;
  const uint32_t addresses = (client >> 16) + (client & 0xffff) + (server >> 16) + (server & 0xffff);
  put32(frame + 26, server), put32(frame + 30, client);
  put16(frame + 24, ~fold(0x4500 + (BYTES - 14) + 0x4000 + (64 << 8 | 17) + addresses));
  put16(frame + 34, server_port), put16(frame + 36, client_port);
  put32(frame + INDEX, index);
  const uint32_t payload = (index >> 16) + (index & 0xffff) + (MARK >> 16) + (MARK & 0xffff);
  const uint32_t sum = fold(17 + 2 * (BYTES - 34) + addresses + client_port + server_port + payload);
  put16(frame + 40, sum == 0xffff ? 0xffff : ~sum);
}

/** Notes what has arrived. */
static void listen_to(int fd) {
  uint8_t bytes[128], control[128];
  for (;;) {
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    const ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT);
    if (length < 0) return;
    if (length < (ssize_t)(INDEX + 8) || get32(bytes + INDEX + 4) != MARK) continue;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    const uint32_t index = get32(bytes + INDEX);
    if (header == NULL || header->cmsg_type != SCM_TIMESTAMPNS || index >= packets || took[index] != 0) continue;
    struct timespec t;
    memcpy(&t, CMSG_DATA(header), sizeof t);
    took[index] = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec - sent_at[index];
  }
}

static uint32_t way_of(uint32_t index) { return index / block % WAYS; }

static int by_size(const void *a, const void *b) {
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static void report(uint32_t way, const char *name) {
  uint64_t *mine = calloc(packets + 1, sizeof *mine);
  uint32_t sent = 0, arrived = 0;
  for (uint32_t k = 0; k < packets; k++) {
    if (way_of(k) != way) continue;
    sent++;
    if (took[k] != 0) mine[arrived++] = took[k];
  }
  qsort(mine, arrived, sizeof *mine, by_size);
  printf("\"%s\":{\"sent\":%u,\"arrived\":%u,\"p50\":%.2f,\"p99\":%.2f}", name, sent, arrived, (double)mine[arrived / 2] / 1e3,
         (double)mine[(uint64_t)arrived * 99 / 100] / 1e3);
  free(mine);
}

int main(int count, char **argument) {
  if (count != 11) return fprintf(stderr, "usage: see latency.c\n"), 2;
  const uint32_t sessions = (uint32_t)atoi(argument[3]);
  const double spacing = 1e9 / atof(argument[4]);
  block = (uint32_t)atoi(argument[5]), packets = (uint32_t)atoi(argument[6]);
  server_port = (uint16_t)atoi(argument[9]);
  template_fill(argument[7], argument[8]);
  sent_at = calloc(packets, sizeof *sent_at), took = calloc(packets, sizeof *took);
  const int left = socket_in(argument[1], "left", ETH_P_ALL);
  const int ways[WAYS] = {socket_in(argument[1], "right", 0), socket_in(argument[2], "right", 0)};
  const int is_spinning = strcmp(argument[10], "spin") == 0;
  // As long as timers are late by 50 us, packets are.
  prctl(PR_SET_TIMERSLACK, 1);
  const uint64_t start = now_nanos();
  double due = 0;
  for (uint32_t k = 0; k < packets; k++, due += spacing) {
    for (uint64_t now = now_nanos() - start; (double)now < due; now = now_nanos() - start) {
      listen_to(left);
      if (is_spinning) continue;
      struct pollfd ready = {left, POLLIN, 0};
      struct timespec wait = {.tv_nsec = (long)(due - (double)now)};
      if (ppoll(&ready, 1, &wait, NULL) < 0) fail("poll");
    }
    // What could not be sent in time is not made up for: the rest stays evenly paced.
    if ((double)(now_nanos() - start) > due + 1e6) due = (double)(now_nanos() - start);
    frame_address(k % sessions, k);
    sent_at[k] = wall_nanos();
    if (send(ways[way_of(k)], frame, BYTES, MSG_DONTWAIT) < 0 && errno != ENOBUFS && errno != EAGAIN) fail("sending");
  }
  for (const uint64_t until = now_nanos() + TAIL_NANOS; now_nanos() < until;) listen_to(left);
  printf("{");
  report(0, "straight");
  printf(",");
  report(1, "handed");
  printf("}\n");
  return 0;
}
