// The limit of what AF_XDP in copy mode can do here: forwards every frame from the first device to the second, with new
// Ethernet addresses and no judgement. It lends frames, batches, wakes the kernel and waits in `poll` as the dataplane does;
// with `gather` it lets packets gather, too (firmware/hal/linux/pace.ts).
//
//   reflector IN OUT SOURCE-MAC DESTINATION-MAC [gather]       says "ready" when it forwards; ends when it is killed

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <poll.h>
#include <sys/prctl.h>

#include "rings.h"

#define FRAMES (4 * SLOTS)
#define BATCH 256u

static uint64_t free_frames[FRAMES];
static uint32_t free_count;

static void mac_parse(const char *text, uint8_t *mac) {
  unsigned b[6];
  if (sscanf(text, "%x:%x:%x:%x:%x:%x", b, b + 1, b + 2, b + 3, b + 4, b + 5) != 6) fail(text);
  for (int k = 0; k < 6; k++) mac[k] = (uint8_t)b[k];
}

/** Everything that the device receives goes to the socket: `return bpf_redirect_map(sockets, 0, XDP_DROP)`. */
static void steer(const char *device, int socket) {
  int sockets = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "bench_sockets", 4, 4, 1, NULL);
  uint32_t key = 0;
  if (sockets < 0 || bpf_map_update_elem(sockets, &key, &socket, BPF_ANY)) fail("XSKMAP");
  struct bpf_insn program[] = {
      {.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = sockets},
      {0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = 1 /* XDP_DROP */},
      {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
      {.code = BPF_JMP | BPF_EXIT},
  };
  int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "bench_reflect", "GPL", program, sizeof program / sizeof *program, NULL);
  if (fd < 0) fail("the XDP program");
  if (bpf_xdp_attach((int)if_nametoindex(device), fd, XDP_FLAGS_DRV_MODE, NULL)) fail("attaching the XDP program");
}

/** The rule of pace.ts: while 100,000 packets a second come, or more, sleeps until some 20 have come, 100 us at the most. */
static void gather(uint32_t moved) {
  static uint64_t start, packets, nanos;
  uint64_t now = now_nanos(), elapsed = now - start;
  packets += moved;
  if (elapsed >= 1000000) {
    nanos = packets * 10000 < elapsed ? 0 : 20 * elapsed / packets;
    if (nanos > 100000) nanos = 100000;
    start = now, packets = 0;
  }
  if (nanos > 0 && moved > 0 && moved < 64) clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = (long)nanos}, NULL);
}

int main(int count, char **argument) {
  const int is_gathering = count == 6 && strcmp(argument[5], "gather") == 0;
  prctl(PR_SET_TIMERSLACK, 1000);
  if (count != 5 && !is_gathering) return fprintf(stderr, "usage: see reflector.c\n"), 2;
  uint8_t macs[12];
  mac_parse(argument[4], macs);
  mac_parse(argument[3], macs + 6);
  uint8_t *area = area_create(FRAMES);
  for (uint32_t k = 0; k < FRAMES; k++) free_frames[free_count++] = (uint64_t)k * FRAME_BYTES;
  struct port in = port_open(argument[1], area, FRAMES), out = port_open(argument[2], area, FRAMES);
  steer(argument[1], in.fd);
  puts("ready");
  fflush(stdout);
  uint32_t filled = 0, taken = 0, sent = 0, completed = 0;
  for (;;) {
    while (filled - taken < SLOTS && free_count > 0) ((uint64_t *)in.fill.slots)[filled++ & MASK] = free_frames[--free_count];
    store(in.fill.producer, filled);
    uint32_t batch = load(in.rx.producer) - taken;
    if (batch > BATCH) batch = BATCH;
    const uint32_t moved = batch;
    if (batch == 0 && sent == load(out.tx.consumer)) {
      struct pollfd waiting = {.fd = in.fd, .events = POLLIN};
      poll(&waiting, 1, 5);
    }
    for (; batch > 0; batch--) {
      struct xdp_desc packet = ((struct xdp_desc *)in.rx.slots)[taken++ & MASK];
      if (sent - load(out.tx.consumer) >= SLOTS) {
        free_frames[free_count++] = packet.addr & ~(uint64_t)(FRAME_BYTES - 1);
        continue;
      }
      memcpy(area + packet.addr, macs, sizeof macs);
      ((struct xdp_desc *)out.tx.slots)[sent++ & MASK] = (struct xdp_desc){.addr = packet.addr, .len = packet.len};
    }
    store(in.rx.consumer, taken);
    store(out.tx.producer, sent);
    for (uint32_t before = load(out.tx.consumer), after; before != sent; before = after) {
      kick(&out);
      after = load(out.tx.consumer);
      if (after == before) break;
    }
    for (uint32_t done = load(out.completion.producer); completed != done; completed++)
      free_frames[free_count++] = ((uint64_t *)out.completion.slots)[completed & MASK] & ~(uint64_t)(FRAME_BYTES - 1);
    store(out.completion.consumer, completed);
    if (is_gathering) gather(moved);
  }
}
