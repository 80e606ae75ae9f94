// Waiting and time: one `ppoll` over all ports and the doorbell, the monotonic clock, and where the process runs.

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "call.h"

#define DESCRIPTORS_MOST 16
/** How late a wait may end; the kernel takes 50 us unless it is told. */
#define TIMER_SLACK_NANOS 1000

/** doorbellCreate(): an eventfd that children may inherit, or -errno. */
static napi_value doorbell_create(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 0)) return NULL;
  int fd = eventfd(0, EFD_NONBLOCK);
  return call_result(&call, fd < 0 ? -errno : fd);
}

/** doorbellRing(descriptor): wakes whoever waits on it; 0 or -errno. */
static napi_value doorbell_ring(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  uint64_t one = 1;
  return call_result(&call, write(call_int(&call, 0), &one, sizeof one) < 0 && errno != EAGAIN ? -errno : 0);
}

/**
 * waitReadable(descriptors: Int32Array, count, timeoutMicros): waits until one of the first `count` is readable or failed. Descriptor 0 of
 * the list is the doorbell, which is cleared; -1 stands for none. Returns how many are ready, or -errno.
 */
static napi_value wait_readable(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 3)) return NULL;
  static int is_told;
  if (!is_told) is_told = prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NANOS) == 0;
  struct bytes descriptors = call_array(&call, 0);
  int count = call_int(&call, 1);
  if (count < 1 || count > DESCRIPTORS_MOST || (size_t)count * 4 > descriptors.length) return call_bug(env, "waitReadable: too many descriptors");
  const int32_t *from = (const int32_t *)(void *)descriptors.data;
  struct pollfd list[DESCRIPTORS_MOST];
  for (int k = 0; k < count; k++) list[k] = (struct pollfd){.fd = from[k], .events = POLLIN};
  int micros = call_int(&call, 2);
  struct timespec timeout = {.tv_sec = micros / 1000000, .tv_nsec = micros % 1000000 * 1000L};
  int ready = ppoll(list, (nfds_t)count, &timeout, NULL);
  if (ready < 0) return call_result(&call, errno == EINTR ? 0 : -errno);
  if (list[0].revents & POLLIN) {
    uint64_t rings;
    ssize_t got = read(list[0].fd, &rings, sizeof rings);
    (void)got;
  }
  return call_result(&call, ready);
}

/** clockMicros(cell: Float64Array(1)): CLOCK_MONOTONIC in whole microseconds; stored, not returned, so that nothing is allocated. */
static napi_value clock_micros(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  struct bytes cell = call_array(&call, 0);
  if (cell.length < sizeof(double)) return call_bug(env, "clockMicros: no cell");
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  double micros = (double)((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
  memcpy(cell.data, &micros, sizeof micros);
  return NULL;
}

/** runOn(processor, nice): binds this thread to a processor (-1: any) and sets its nice value; 0 or -errno of the first failure. */
static napi_value run_on(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 2)) return NULL;
  int processor = call_int(&call, 0);
  if (processor >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)processor, &set);
    if (sched_setaffinity(0, sizeof set, &set)) return call_result(&call, -errno);
  }
  return call_result(&call, setpriority(PRIO_PROCESS, 0, call_int(&call, 1)) ? -errno : 0);
}

void register_waiting(napi_env env, napi_value exports) {
  export_function(env, exports, "doorbellCreate", doorbell_create);
  export_function(env, exports, "doorbellRing", doorbell_ring);
  export_function(env, exports, "waitReadable", wait_readable);
  export_function(env, exports, "clockMicros", clock_micros);
  export_function(env, exports, "runOn", run_on);
}
