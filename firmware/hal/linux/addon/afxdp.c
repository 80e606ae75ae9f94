// AF_XDP sockets. A port has a *window*: an address range that TypeScript sees as one ArrayBuffer for as long as the
// port lives. Opening maps the socket's four rings into it, closing maps zero pages over them. So the ArrayBuffer is
// never detached and never dangles, and a port that is reopened keeps its typed arrays (and the compiler its code).
//
//   window:  │ rx ring │ tx ring │ fill ring │ completion ring │       WINDOW_RING_BYTES each
//
// Every port registers the packet memory for itself: sockets that share one registration depend on the first of them,
// which then cannot be reopened alone.

#include <errno.h>
#include <linux/if_xdp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call.h"

#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9 /* Linux 6.17 */
#endif

#define RINGS 4
#define WINDOW_RING_BYTES (64 * 1024)
#define WINDOW_BYTES (RINGS * WINDOW_RING_BYTES)
/** Copy mode sends 32 frames per call where the budget cannot be raised. */
#define KICKS_MOST 64

static const off_t RING_PAGE[RINGS] = {XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING, XDP_UMEM_PGOFF_FILL_RING, XDP_UMEM_PGOFF_COMPLETION_RING};
static const size_t SLOT_BYTES[RINGS] = {sizeof(struct xdp_desc), sizeof(struct xdp_desc), sizeof(uint64_t), sizeof(uint64_t)};

static void window_unmap(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  munmap(data, WINDOW_BYTES);
}

/** Covers the window with zero pages. */
static void *window_clear(void *at) {
  int fixed = at == NULL ? 0 : MAP_FIXED;
  return mmap(at, WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);
}

/** xdpWindow(): an ArrayBuffer to open sockets in. */
static napi_value window_create(napi_env env, napi_callback_info info) {
  (void)info;
  void *data = window_clear(NULL);
  if (data == MAP_FAILED) return call_bug(env, "twinwall.node: no address space for an AF_XDP window");
  napi_value buffer;
  if (napi_create_external_arraybuffer(env, data, WINDOW_BYTES, window_unmap, NULL, &buffer) != napi_ok) {
    munmap(data, WINDOW_BYTES);
    return call_bug(env, "twinwall.node: cannot make an ArrayBuffer");
  }
  return buffer;
}

/** Maps one ring into the window and writes its four word indexes (producer, consumer, flags, first slot) to `layout`. */
static int ring_map(int fd, uint8_t *window, int ring, const struct xdp_ring_offset *offset, uint32_t slots, int32_t *layout) {
  size_t length = offset->desc + slots * SLOT_BYTES[ring];
  if (length > WINDOW_RING_BYTES) return -E2BIG;
  void *at = window + ring * WINDOW_RING_BYTES;
  if (mmap(at, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, RING_PAGE[ring]) == MAP_FAILED) return -errno;
  int32_t base = ring * WINDOW_RING_BYTES / 4;
  layout[0] = base + (int32_t)(offset->producer / 4);
  layout[1] = base + (int32_t)(offset->consumer / 4);
  layout[2] = base + (int32_t)(offset->flags / 4);
  layout[3] = base + (int32_t)(offset->desc / 4);
  return 0;
}

static int rings_map(int fd, uint8_t *window, uint32_t slots, int32_t *layout) {
  struct xdp_mmap_offsets offsets;
  socklen_t length = sizeof offsets;
  if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length)) return -errno;
  const struct xdp_ring_offset *of[RINGS] = {&offsets.rx, &offsets.tx, &offsets.fr, &offsets.cr};
  for (int ring = 0; ring < RINGS; ring++) {
    int error = ring_map(fd, window, ring, of[ring], slots, layout + 4 * ring);
    if (error) return error;
  }
  return 0;
}

static int socket_prepare(int fd, struct bytes area, uint32_t frame_bytes, uint32_t headroom, int slots) {
  struct xdp_umem_reg registration = {.addr = (uintptr_t)area.data, .len = area.length, .chunk_size = frame_bytes, .headroom = headroom};
  if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &registration, sizeof registration)) return -errno;
  static const int RING_OPTION[RINGS] = {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING};
  for (int ring = 0; ring < RINGS; ring++) {
    if (setsockopt(fd, SOL_XDP, RING_OPTION[ring], &slots, sizeof slots)) return -errno;
  }
  // One sendto for a whole batch where the kernel has it; else xdpKick loops.
  setsockopt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &slots, sizeof slots);
  return 0;
}

/**
 * xdpOpen(area, window, slots, frameBytes, headroom, layout: Int32Array(16)): a socket with the area registered and its
 * rings mapped into the window; descriptor or -errno. The costly half: it pins the area's pages.
 */
static napi_value afxdp_open(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 6)) return NULL;
  struct bytes area = call_buffer(&call, 0), window = call_buffer(&call, 1), layout = call_array(&call, 5);
  int slots = call_int(&call, 2);
  if (window.length != WINDOW_BYTES || layout.length != RINGS * 4 * sizeof(int32_t)) return call_bug(env, "xdpOpen: window or layout has a wrong size");
  int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return call_result(&call, -errno);
  int error = socket_prepare(fd, area, (uint32_t)call_int(&call, 3), (uint32_t)call_int(&call, 4), slots);
  if (!error) error = rings_map(fd, window.data, (uint32_t)slots, (int32_t *)(void *)layout.data);
  if (!error) return call_result(&call, fd);
  window_clear(window.data);
  close(fd);
  return call_result(&call, error);
}

/**
 * xdpBind(descriptor, ifindex, queue): 0 or -errno. -EBUSY while the kernel still tears down an earlier socket of this
 * queue: bind the same descriptor again later.
 */
static napi_value afxdp_bind(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 3)) return NULL;
  struct sockaddr_xdp address = {.sxdp_family = AF_XDP,
                                 .sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP,
                                 .sxdp_ifindex = (uint32_t)call_int(&call, 1),
                                 .sxdp_queue_id = (uint32_t)call_int(&call, 2)};
  return call_result(&call, bind(call_int(&call, 0), (struct sockaddr *)&address, sizeof address) ? -errno : 0);
}

/** xdpClose(descriptor, window): the rings become zero pages, the socket is closed; its XSKMAP entry goes with it. */
static napi_value afxdp_close(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 2)) return NULL;
  struct bytes window = call_buffer(&call, 1);
  if (window.length == WINDOW_BYTES) window_clear(window.data);
  return call_result(&call, close(call_int(&call, 0)) ? -errno : 0);
}

/**
 * xdpKick(descriptor, window, producerWord, consumerWord): sends until the kernel has taken every queued frame or makes
 * no progress (the device is busy: the rest goes with a later kick). 0, or -errno when the socket is of no use any more.
 */
static napi_value afxdp_kick(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 4)) return NULL;
  int fd = call_int(&call, 0);
  const uint32_t *words = (const uint32_t *)(void *)call_buffer(&call, 1).data;
  const uint32_t *producer = words + call_int(&call, 2);
  const uint32_t *consumer = words + call_int(&call, 3);
  for (int kick = 0; kick < KICKS_MOST; kick++) {
    uint32_t before = __atomic_load_n(consumer, __ATOMIC_ACQUIRE);
    if (sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN && errno != EBUSY && errno != ENOBUFS) return call_result(&call, -errno);
    uint32_t after = __atomic_load_n(consumer, __ATOMIC_ACQUIRE);
    if (after == *producer || after == before) break;
  }
  return call_result(&call, 0);
}

/** xdpMissed(descriptor, cells: Float64Array(1)): packets that the socket lost for want of frames or ring space; 0 or -errno. */
static napi_value afxdp_missed(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 2)) return NULL;
  struct bytes cells = call_array(&call, 1);
  struct xdp_statistics statistics;
  memset(&statistics, 0, sizeof statistics);
  socklen_t length = sizeof statistics;
  if (cells.length < sizeof(double)) return call_bug(env, "xdpMissed: no cell");
  if (getsockopt(call_int(&call, 0), SOL_XDP, XDP_STATISTICS, &statistics, &length)) return call_result(&call, -errno);
  double missed = (double)(statistics.rx_dropped + statistics.rx_ring_full);
  memcpy(cells.data, &missed, sizeof missed);
  return call_result(&call, 0);
}

/** socketError(descriptor): 0, or the socket's pending error (SO_ERROR) negated: -ENETDOWN when its device was removed. */
static napi_value socket_error(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(call_int(&call, 0), SOL_SOCKET, SO_ERROR, &error, &length)) error = errno;
  return call_result(&call, -error);
}

void register_afxdp(napi_env env, napi_value exports) {
  export_function(env, exports, "xdpWindow", window_create);
  export_function(env, exports, "xdpOpen", afxdp_open);
  export_function(env, exports, "xdpBind", afxdp_bind);
  export_function(env, exports, "xdpClose", afxdp_close);
  export_function(env, exports, "xdpKick", afxdp_kick);
  export_function(env, exports, "xdpMissed", afxdp_missed);
  export_function(env, exports, "socketError", socket_error);
}
