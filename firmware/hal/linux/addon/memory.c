// Memory that several processes share, and memory that needs large pages. Files are opened by TypeScript; here they are
// allocated, locked and mapped. A mapping lives until memoryUnmap, or until its ArrayBuffer is collected.
//
// Readers copy rows with `snapshot`: a row's first word is a sequence lock (odd while its identity changes). In C with
// fences: the same loop in JavaScript tore 127 of 8,200,000 reads.

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "call.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define HUGE_PAGE_BYTES (2ul * 1024 * 1024)
#define SNAPSHOT_TRIES 16

static void area_unmap(napi_env env, void *data, void *length) {
  (void)env;
  munmap(data, (size_t)(uintptr_t)length);
}

static napi_value area_wrap(napi_env env, void *data, size_t length) {
  napi_value buffer;
  if (napi_create_external_arraybuffer(env, data, length, area_unmap, (void *)(uintptr_t)length, &buffer) == napi_ok) return buffer;
  munmap(data, length);
  return call_bug(env, "twinwall.node: cannot make an ArrayBuffer");
}

/** memoryAllocate(descriptor, bytes): gives a new file all its pages, so that no later store can fail; 0 or -errno. */
static napi_value memory_allocate(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 2)) return NULL;
  return call_result(&call, -posix_fallocate(call_int(&call, 0), 0, call_long(&call, 1)));
}

/**
 * memoryLock(descriptor, take): takes or gives up the file's lock; 0, or -EWOULDBLOCK when another process holds it. It
 * ends with the process. Closing does not end it: a mapping keeps the open file alive.
 */
static napi_value memory_lock(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 2)) return NULL;
  return call_result(&call, flock(call_int(&call, 0), call_int(&call, 1) ? LOCK_EX | LOCK_NB : LOCK_UN) ? -errno : 0);
}

/** memoryMap(descriptor, bytes, writable): the file as an ArrayBuffer, or -errno. Storing into a read-only one is a SIGSEGV. */
static napi_value memory_map(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 3)) return NULL;
  size_t length = (size_t)call_long(&call, 1);
  int protection = call_int(&call, 2) ? PROT_READ | PROT_WRITE : PROT_READ;
  void *data = mmap(NULL, length, protection, MAP_SHARED | MAP_POPULATE, call_int(&call, 0), 0);
  if (data == MAP_FAILED) return call_result(&call, -errno);
  madvise(data, length, MADV_HUGEPAGE);
  return area_wrap(env, data, length);
}

/** memoryPrivate(bytes): zeroed memory of this process on large pages where there are some, all present; or -errno. */
static napi_value memory_private(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  size_t length = (size_t)call_long(&call, 0);
  uint8_t *data = mmap(NULL, length + HUGE_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return call_result(&call, -errno);
  size_t before = (HUGE_PAGE_BYTES - (uintptr_t)data % HUGE_PAGE_BYTES) % HUGE_PAGE_BYTES;
  if (before > 0) munmap(data, before);
  munmap(data + before + length, HUGE_PAGE_BYTES - before);
  data += before;
  madvise(data, length, MADV_HUGEPAGE);
  if (madvise(data, length, MADV_POPULATE_WRITE)) memset(data, 0, length);
  return area_wrap(env, data, length);
}

/** memoryUnmap(buffer): detaches the ArrayBuffer; its finalizer unmaps the pages once nothing refers to it. */
static napi_value memory_unmap(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  napi_detach_arraybuffer(env, call.arguments[0]);
  return NULL;
}

/** Copies one row; false when its writer kept it changing (or died in mid-change). */
static bool row_copy(const uint8_t *from, uint8_t *to, size_t stride) {
  const int32_t *generation = (const int32_t *)(const void *)from;
  for (int attempt = 0; attempt < SNAPSHOT_TRIES; attempt++) {
    int32_t before = __atomic_load_n(generation, __ATOMIC_ACQUIRE);
    if (before & 1) continue;
    memcpy(to, from, stride);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(generation, __ATOMIC_RELAXED) == before) return true;
  }
  return false;
}

/**
 * snapshot(source, offsetBytes, strideBytes, firstRow, rows, target: ArrayBuffer): copies rows whose first word is their
 * generation. A row that does not hold still is zeroed in the target (generation 0: never used). Returns how many were.
 */
static napi_value snapshot(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 6)) return NULL;
  struct bytes source = call_buffer(&call, 0);
  struct bytes target = call_buffer(&call, 5);
  int64_t offset = call_long(&call, 1), stride = call_int(&call, 2), first = call_int(&call, 3), rows = call_int(&call, 4);
  if (offset < 0 || stride < 4 || stride % 4 || first < 0 || rows < 0 || offset + (first + rows) * stride > (int64_t)source.length ||
      rows * stride > (int64_t)target.length) {
    return call_bug(env, "snapshot: rows outside the area or the target");
  }
  int32_t restless = 0;
  for (int64_t row = 0; row < rows; row++) {
    uint8_t *to = target.data + row * stride;
    if (row_copy(source.data + offset + (first + row) * stride, to, (size_t)stride)) continue;
    memset(to, 0, (size_t)stride);
    restless++;
  }
  return call_result(&call, restless);
}

void register_memory(napi_env env, napi_value exports) {
  export_function(env, exports, "memoryAllocate", memory_allocate);
  export_function(env, exports, "memoryLock", memory_lock);
  export_function(env, exports, "memoryMap", memory_map);
  export_function(env, exports, "memoryPrivate", memory_private);
  export_function(env, exports, "memoryUnmap", memory_unmap);
  export_function(env, exports, "snapshot", snapshot);
}
