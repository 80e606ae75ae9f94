// What every file of the addon shares: reading a call's arguments. JavaScript is ours and typed (native.ts), so a wrong
// argument is a bug: it throws and the process dies fail-closed.
//
// Functions that may fail for reasons outside the program return a number: >= 0 is the answer, < 0 a negated errno.
// TypeScript knows the port, the file or the driver concerned, and makes the sentence.
#ifndef TWINWALL_CALL_H
#define TWINWALL_CALL_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_ARGUMENTS_MOST 9

struct call {
  napi_env env;
  size_t count;
  napi_value arguments[CALL_ARGUMENTS_MOST];
};

struct bytes {
  uint8_t *data;
  size_t length;
};

/** Fetches the arguments; false (an exception is pending) when there are fewer than `count`. */
bool call_read(struct call *call, napi_env env, napi_callback_info info, size_t count);
/** Argument k as int32; 0 when it is no number. */
int32_t call_int(const struct call *call, size_t k);
/** Argument k as a whole number below 2^53. */
int64_t call_long(const struct call *call, size_t k);
/** Copies argument k, a string, into `text` (terminated). */
void call_text(const struct call *call, size_t k, char *text, size_t size);
/** Argument k: an ArrayBuffer; empty when it is none or detached. */
struct bytes call_buffer(const struct call *call, size_t k);
/** Argument k: the bytes of a typed array; empty when it is none. */
struct bytes call_array(const struct call *call, size_t k);
/** A number as the function's result. */
napi_value call_result(const struct call *call, int32_t value);
/** Throws an Error with the code BUG: the caller broke the addon's contract. Returns NULL. */
napi_value call_bug(napi_env env, const char *sentence);

/** Each file's part of the module. */
void register_afxdp(napi_env env, napi_value exports);
void register_steering(napi_env env, napi_value exports);
void register_packet(napi_env env, napi_value exports);
void register_memory(napi_env env, napi_value exports);
void register_waiting(napi_env env, napi_value exports);
void register_sealer(napi_env env, napi_value exports);
void register_netlink(napi_env env, napi_value exports);
void register_ethtool(napi_env env, napi_value exports);

/** Puts one function into the module's exports. */
void export_function(napi_env env, napi_value exports, const char *name, napi_callback function);

#endif
