// An AF_XDP socket in copy mode as the benchmark's C programs use it: its own packet memory, four rings, one queue. What the
// dataplane does in TypeScript (firmware/hal/linux/afxdp.ts), with no more than these programs need.
#pragma once

#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9 /* Linux 6.17 */
#endif

#define SLOTS 2048u
#define MASK (SLOTS - 1)
#define FRAME_BYTES 2048u

struct ring {
  uint32_t *producer, *consumer, *flags;
  void *slots;
};

struct port {
  int fd;
  struct ring rx, tx, fill, completion;
};

static inline void fail(const char *what) {
  fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
  exit(1);
}

static inline uint64_t now_nanos(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint32_t load(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void store(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

static inline uint8_t *area_create(uint32_t frames) {
  void *area = mmap(NULL, (size_t)frames * FRAME_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (area == MAP_FAILED) fail("packet memory");
  return area;
}

static inline struct ring ring_map(int fd, const struct xdp_ring_offset *offset, size_t slot_bytes, off_t page) {
  uint8_t *at = mmap(NULL, offset->desc + SLOTS * slot_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, page);
  if (at == MAP_FAILED) fail("mapping a ring");
  return (struct ring){(uint32_t *)(at + offset->producer), (uint32_t *)(at + offset->consumer), (uint32_t *)(at + offset->flags), at + offset->desc};
}

/** Opens and binds a socket at the device's queue 0 with `area` as its packet memory. */
static inline struct port port_open(const char *device, uint8_t *area, uint32_t frames) {
  struct port port = {.fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)};
  if (port.fd < 0) fail("AF_XDP");
  struct xdp_umem_reg registration = {.addr = (uintptr_t)area, .len = (uint64_t)frames * FRAME_BYTES, .chunk_size = FRAME_BYTES};
  if (setsockopt(port.fd, SOL_XDP, XDP_UMEM_REG, &registration, sizeof registration)) fail("registering packet memory");
  static const int OPTIONS[] = {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING};
  int slots = SLOTS;
  for (int k = 0; k < 4; k++) {
    if (setsockopt(port.fd, SOL_XDP, OPTIONS[k], &slots, sizeof slots)) fail("sizing a ring");
  }
  // One call for a whole batch where the kernel has it.
  setsockopt(port.fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &slots, sizeof slots);
  struct xdp_mmap_offsets offsets;
  socklen_t length = sizeof offsets;
  if (getsockopt(port.fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length)) fail("XDP_MMAP_OFFSETS");
  port.rx = ring_map(port.fd, &offsets.rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING);
  port.tx = ring_map(port.fd, &offsets.tx, sizeof(struct xdp_desc), XDP_PGOFF_TX_RING);
  port.fill = ring_map(port.fd, &offsets.fr, sizeof(uint64_t), XDP_UMEM_PGOFF_FILL_RING);
  port.completion = ring_map(port.fd, &offsets.cr, sizeof(uint64_t), XDP_UMEM_PGOFF_COMPLETION_RING);
  struct sockaddr_xdp address = {.sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP, .sxdp_ifindex = if_nametoindex(device)};
  if (address.sxdp_ifindex == 0) fail(device);
  // A queue that the kernel still clears away from an earlier process is busy for a moment.
  for (int tries = 0; bind(port.fd, (struct sockaddr *)&address, sizeof address) != 0; tries++) {
    if (errno != EBUSY || tries > 200) fail("binding");
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  }
  return port;
}

static inline void kick(const struct port *port) { sendto(port->fd, NULL, 0, MSG_DONTWAIT, NULL, 0); }
