// twinwall.node: the few system calls that Node.js does not offer. One file per subject; native.ts is its typed face.

#include "call.h"

bool call_read(struct call *call, napi_env env, napi_callback_info info, size_t count) {
  call->env = env;
  call->count = CALL_ARGUMENTS_MOST;
  napi_get_cb_info(env, info, &call->count, call->arguments, NULL, NULL);
  if (call->count >= count) return true;
  call_bug(env, "twinwall.node: a call has too few arguments");
  return false;
}

int32_t call_int(const struct call *call, size_t k) {
  int32_t value = 0;
  napi_get_value_int32(call->env, call->arguments[k], &value);
  return value;
}

int64_t call_long(const struct call *call, size_t k) {
  int64_t value = 0;
  napi_get_value_int64(call->env, call->arguments[k], &value);
  return value;
}

void call_text(const struct call *call, size_t k, char *text, size_t size) {
  size_t length = 0;
  text[0] = 0;
  napi_get_value_string_utf8(call->env, call->arguments[k], text, size, &length);
}

struct bytes call_buffer(const struct call *call, size_t k) {
  void *data = NULL;
  size_t length = 0;
  if (napi_get_arraybuffer_info(call->env, call->arguments[k], &data, &length) != napi_ok) length = 0;
  return (struct bytes){data, length};
}

struct bytes call_array(const struct call *call, size_t k) {
  void *data = NULL;
  size_t length = 0;
  napi_typedarray_type type;
  if (napi_get_typedarray_info(call->env, call->arguments[k], &type, &length, &data, NULL, NULL) != napi_ok) return (struct bytes){NULL, 0};
  static const size_t width[] = {[napi_int8_array] = 1,   [napi_uint8_array] = 1,   [napi_uint8_clamped_array] = 1, [napi_int16_array] = 2,
                                 [napi_uint16_array] = 2, [napi_int32_array] = 4,   [napi_uint32_array] = 4,        [napi_float32_array] = 4,
                                 [napi_float64_array] = 8};
  if ((size_t)type >= sizeof width / sizeof width[0]) return (struct bytes){NULL, 0};
  return (struct bytes){data, length * width[type]};
}

napi_value call_result(const struct call *call, int32_t value) {
  napi_value result;
  napi_create_int32(call->env, value, &result);
  return result;
}

napi_value call_bug(napi_env env, const char *sentence) {
  napi_throw_error(env, "BUG", sentence);
  return NULL;
}

void export_function(napi_env env, napi_value exports, const char *name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value);
  napi_set_named_property(env, exports, name, value);
}

NAPI_MODULE_INIT() {
  register_afxdp(env, exports);
  register_steering(env, exports);
  register_packet(env, exports);
  register_memory(env, exports);
  register_waiting(env, exports);
  register_sealer(env, exports);
  register_netlink(env, exports);
  register_ethtool(env, exports);
  return exports;
}
