// Loads steer.bpf.c's programs and attaches them by netlink: never as a bpf_link, which would die with its process and
// open the port to the kernel. After kill -9 the program is still there; the next dataplane *adopts* it: it finds
// program and XSKMAP by id, checks that they are this build's, with this configuration, and only points the map at its new socket.

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "call.h"
#include "steer.h"

/** Order of the answer's words; native.ts names them too. */
enum { ANSWER_MAP, ANSWER_MODE, ANSWER_ADOPTED, ANSWER_STAGE, ANSWER_FOREIGN, ANSWER_WORDS };
enum { MODE_NATIVE = 1, MODE_GENERIC = 2 };
enum { STAGE_LOAD = 1, STAGE_ATTACH = 2 };

#ifdef TWINWALL_WITHOUT_BPF

static napi_value unsupported(napi_env env, napi_callback_info info) {
  struct call call;
  return call_read(&call, env, info, 0) ? call_result(&call, -ENOTSUP) : NULL;
}

void register_steering(napi_env env, napi_value exports) {
  export_function(env, exports, "steeringAttach", unsupported);
  export_function(env, exports, "steeringPoint", unsupported);
  export_function(env, exports, "steeringDetach", unsupported);
  export_function(env, exports, "shieldAttach", unsupported);
  export_function(env, exports, "shieldDetach", unsupported);
}

#else

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>

#define STEER_NAME "twinwall_steer"
#define SHIELD_NAME "twinwall_shield"
#define MAPS_MOST 8
#define SHIELD_PRIORITY 1
#define SHIELD_HANDLE 1

static int silent(enum libbpf_print_level level, const char *format, va_list arguments) {
  (void)level;
  (void)format;
  (void)arguments;
  return 0;
}

/** Opens and loads the object with `wanted` in its read-only data; the one program named `program` only. NULL: errno. */
static struct bpf_object *object_load(const char *path, const struct steering *wanted, const char *program) {
  libbpf_set_print(silent);
  struct bpf_object *object = bpf_object__open_file(path, NULL);
  if (object == NULL) return NULL;
  struct bpf_map *map;
  bpf_object__for_each_map(map, object) {
    if (strstr(bpf_map__name(map), "rodata") != NULL) bpf_map__set_initial_value(map, wanted, sizeof *wanted);
  }
  struct bpf_program *each;
  bpf_object__for_each_program(each, object) bpf_program__set_autoload(each, strcmp(bpf_program__name(each), program) == 0);
  if (bpf_object__load(object) == 0) return object;
  int error = errno;
  bpf_object__close(object);
  errno = error;
  return NULL;
}

/** Descriptor of the program's map of this type, or -1. */
static int program_map(const struct bpf_prog_info *info, const uint32_t *ids, enum bpf_map_type type) {
  for (uint32_t k = 0; k < info->nr_map_ids && k < MAPS_MOST; k++) {
    int fd = bpf_map_get_fd_by_id(ids[k]);
    struct bpf_map_info map;
    memset(&map, 0, sizeof map);
    uint32_t length = sizeof map;
    if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &map, &length) == 0 && map.type == (uint32_t)type) return fd;
    if (fd >= 0) close(fd);
  }
  return -1;
}

static bool same_steering(int map, const struct steering *wanted) {
  struct steering found;
  uint32_t key = 0;
  memset(&found, 0, sizeof found);
  return map >= 0 && bpf_map_lookup_elem(map, &key, &found) == 0 && memcmp(&found, wanted, sizeof found) == 0;
}

/** The attached program's XSKMAP when it may be adopted; else -1. `foreign`: somebody else's program is attached. */
static int adopt(uint32_t program_id, const struct steering *wanted, bool *foreign) {
  int program = bpf_prog_get_fd_by_id(program_id);
  if (program < 0) return -1;
  struct bpf_prog_info info;
  uint32_t ids[MAPS_MOST], length = sizeof info;
  memset(&info, 0, sizeof info);
  info.nr_map_ids = MAPS_MOST;
  info.map_ids = (uintptr_t)ids;
  int sockets = -1;
  if (bpf_obj_get_info_by_fd(program, &info, &length) == 0) {
    // The kernel keeps the first 15 characters of a name.
    *foreign = strncmp(info.name, STEER_NAME, sizeof info.name - 1) != 0;
    int data = *foreign ? -1 : program_map(&info, ids, BPF_MAP_TYPE_ARRAY);
    if (same_steering(data, wanted)) sockets = program_map(&info, ids, BPF_MAP_TYPE_XSKMAP);
    if (data >= 0) close(data);
  }
  close(program);
  return sockets;
}

/** Loads our program and attaches it, native first; replaces an older build of ours at once, without a gap. */
static int load_and_attach(const char *path, int ifindex, const struct steering *wanted, int generic_only, int attached_mode, int32_t *answer) {
  answer[ANSWER_STAGE] = STAGE_LOAD;
  struct bpf_object *object = object_load(path, wanted, STEER_NAME);
  if (object == NULL) return -errno;
  answer[ANSWER_STAGE] = STAGE_ATTACH;
  int program = bpf_program__fd(bpf_object__find_program_by_name(object, STEER_NAME));
  int error = -EOPNOTSUPP;
  if (!generic_only && attached_mode != XDP_ATTACHED_SKB) error = bpf_xdp_attach(ifindex, program, XDP_FLAGS_DRV_MODE, NULL);
  answer[ANSWER_MODE] = MODE_NATIVE;
  if (error && attached_mode != XDP_ATTACHED_DRV) {
    answer[ANSWER_FOREIGN] = error;
    error = bpf_xdp_attach(ifindex, program, XDP_FLAGS_SKB_MODE, NULL);
    answer[ANSWER_MODE] = MODE_GENERIC;
  }
  if (!error) answer[ANSWER_MAP] = dup(bpf_map__fd(bpf_object__find_map_by_name(object, "sockets")));
  bpf_object__close(object);
  return error;
}

/**
 * steeringAttach(objectPath, ifindex, steering: Uint32Array(7), genericOnly, answer: Int32Array(5)): 0 or -errno. Answer:
 * XSKMAP descriptor, mode (1 native, 2 generic), adopted, stage that failed (1 load, 2 attach), and either 1 when another
 * program holds the device (-EEXIST) or the -errno for which native mode was not to be had.
 */
static napi_value steering_attach(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 5)) return NULL;
  char path[4096];
  call_text(&call, 0, path, sizeof path);
  int ifindex = call_int(&call, 1);
  struct bytes wanted = call_array(&call, 2);
  struct bytes words = call_array(&call, 4);
  if (wanted.length != sizeof(struct steering) || words.length != ANSWER_WORDS * 4) return call_bug(env, "steeringAttach: wrong sizes");
  struct steering steering;
  memcpy(&steering, wanted.data, sizeof steering);
  steering.build = STEERING_BUILD;
  int32_t *answer = (int32_t *)(void *)words.data;
  memset(answer, 0, words.length);
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  int error = bpf_xdp_query(ifindex, 0, &query);
  if (error) return call_result(&call, error);
  if (query.prog_id != 0) {
    bool foreign = false;
    int sockets = adopt(query.prog_id, &steering, &foreign);
    answer[ANSWER_FOREIGN] = foreign;
    if (foreign) return call_result(&call, -EEXIST);
    answer[ANSWER_MAP] = sockets;
    answer[ANSWER_ADOPTED] = 1;
    answer[ANSWER_MODE] = query.attach_mode == XDP_ATTACHED_SKB ? MODE_GENERIC : MODE_NATIVE;
    if (sockets >= 0) return call_result(&call, 0);
    answer[ANSWER_ADOPTED] = 0;
  }
  return call_result(&call, load_and_attach(path, ifindex, &steering, call_int(&call, 3), query.attach_mode, answer));
}

/** steeringPoint(mapDescriptor, queue, socketDescriptor): frames of that queue go to this socket from now on; 0 or -errno. */
static napi_value steering_point(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 3)) return NULL;
  uint32_t queue = (uint32_t)call_int(&call, 1);
  int socket = call_int(&call, 2);
  return call_result(&call, bpf_map_update_elem(call_int(&call, 0), &queue, &socket, BPF_ANY) ? -errno : 0);
}

/** steeringDetach(ifindex): takes our XDP program off the device, and no other; 0 or -errno. */
static napi_value steering_detach(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  int ifindex = call_int(&call, 0), error = 0;
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  if (bpf_xdp_query(ifindex, 0, &query) == 0 && query.prog_id != 0) {
    struct steering none = {0};
    bool foreign = true;
    int sockets = adopt(query.prog_id, &none, &foreign);
    if (sockets >= 0) close(sockets);
    if (!foreign) error = bpf_xdp_detach(ifindex, query.attach_mode == XDP_ATTACHED_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE, NULL);
  }
  return call_result(&call, error);
}

/** shieldDetach(ifindex): takes the shield off the device; 0 or -errno. */
static napi_value shield_detach(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  libbpf_set_print(silent);
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = call_int(&call, 0), .attach_point = BPF_TC_INGRESS);
  LIBBPF_OPTS(bpf_tc_opts, shield, .handle = SHIELD_HANDLE, .priority = SHIELD_PRIORITY);
  return call_result(&call, bpf_tc_detach(&hook, &shield));
}

/** shieldAttach(objectPath, ifindex, steering: Uint32Array(7)): puts the shield on tc ingress, replacing an older one; 0 or -errno. */
static napi_value shield_attach(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 3)) return NULL;
  char path[4096];
  call_text(&call, 0, path, sizeof path);
  struct bytes wanted = call_array(&call, 2);
  if (wanted.length != sizeof(struct steering)) return call_bug(env, "shieldAttach: wrong size");
  struct steering steering;
  memcpy(&steering, wanted.data, sizeof steering);
  steering.build = STEERING_BUILD;
  struct bpf_object *object = object_load(path, &steering, SHIELD_NAME);
  if (object == NULL) return call_result(&call, -errno);
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = call_int(&call, 1), .attach_point = BPF_TC_INGRESS);
  int error = bpf_tc_hook_create(&hook);
  if (error == -EEXIST) error = 0;
  LIBBPF_OPTS(bpf_tc_opts, shield, .handle = SHIELD_HANDLE, .priority = SHIELD_PRIORITY, .flags = BPF_TC_F_REPLACE);
  shield.prog_fd = bpf_program__fd(bpf_object__find_program_by_name(object, SHIELD_NAME));
  if (!error) error = bpf_tc_attach(&hook, &shield);
  bpf_object__close(object);
  return call_result(&call, error);
}

void register_steering(napi_env env, napi_value exports) {
  export_function(env, exports, "steeringAttach", steering_attach);
  export_function(env, exports, "steeringPoint", steering_point);
  export_function(env, exports, "steeringDetach", steering_detach);
  export_function(env, exports, "shieldAttach", shield_attach);
  export_function(env, exports, "shieldDetach", shield_detach);
}

#endif
