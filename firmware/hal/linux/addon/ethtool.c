// Settings of a NIC by ioctl: what it does behind our back (offloads), how many queues it spreads frames over, its MTU, and on.

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call.h"

/** Order of the offloads; native.ts names them too. */
enum { OFFLOAD_RECEIVE_TAG, OFFLOAD_TRANSMIT_TAG, OFFLOAD_LRO, OFFLOAD_GRO, OFFLOAD_GSO, OFFLOAD_TSO, OFFLOADS };

static const uint32_t FLAG[OFFLOADS] = {[OFFLOAD_RECEIVE_TAG] = ETH_FLAG_RXVLAN, [OFFLOAD_TRANSMIT_TAG] = ETH_FLAG_TXVLAN, [OFFLOAD_LRO] = ETH_FLAG_LRO};
static const uint32_t GET[OFFLOADS] = {[OFFLOAD_GRO] = ETHTOOL_GGRO, [OFFLOAD_GSO] = ETHTOOL_GGSO, [OFFLOAD_TSO] = ETHTOOL_GTSO};
static const uint32_t SET[OFFLOADS] = {[OFFLOAD_GRO] = ETHTOOL_SGRO, [OFFLOAD_GSO] = ETHTOOL_SGSO, [OFFLOAD_TSO] = ETHTOOL_STSO};

static int device_ioctl(const char *name, unsigned long what, struct ifreq *request) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  strncpy(request->ifr_name, name, IFNAMSIZ - 1);
  int error = ioctl(fd, what, request) ? -errno : 0;
  close(fd);
  return error;
}

static int ethtool(const char *name, void *command) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  request.ifr_data = command;
  return device_ioctl(name, SIOCETHTOOL, &request);
}

/** deviceMtu(name, bytes): sets the MTU; 0 or -errno. */
static napi_value device_mtu(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 2)) return NULL;
  char name[IFNAMSIZ];
  call_text(&call, 0, name, sizeof name);
  struct ifreq request;
  memset(&request, 0, sizeof request);
  request.ifr_mtu = call_int(&call, 1);
  return call_result(&call, device_ioctl(name, SIOCSIFMTU, &request));
}

/** deviceUp(name): switches the device on; 0 or -errno. */
static napi_value device_up(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  char name[IFNAMSIZ];
  call_text(&call, 0, name, sizeof name);
  struct ifreq request;
  memset(&request, 0, sizeof request);
  int error = device_ioctl(name, SIOCGIFFLAGS, &request);
  if (error) return call_result(&call, error);
  request.ifr_flags |= IFF_UP;
  return call_result(&call, device_ioctl(name, SIOCSIFFLAGS, &request));
}

/** offload(name, which): 1 on, 0 off, or -errno (-EOPNOTSUPP: the device has no such offload). */
static napi_value offload_get(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 2)) return NULL;
  char name[IFNAMSIZ];
  call_text(&call, 0, name, sizeof name);
  int which = call_int(&call, 1);
  if (which < 0 || which >= OFFLOADS) return call_bug(env, "offload: unknown");
  struct ethtool_value value = {.cmd = FLAG[which] ? ETHTOOL_GFLAGS : GET[which]};
  int error = ethtool(name, &value);
  if (error) return call_result(&call, error);
  return call_result(&call, FLAG[which] ? (value.data & FLAG[which]) != 0 : value.data != 0);
}

/** offloadOff(name, which): asks the driver to turn it off; 0 or -errno. It may stay on all the same: ask again. */
static napi_value offload_off(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 2)) return NULL;
  char name[IFNAMSIZ];
  call_text(&call, 0, name, sizeof name);
  int which = call_int(&call, 1);
  if (which < 0 || which >= OFFLOADS) return call_bug(env, "offload: unknown");
  struct ethtool_value value = {.cmd = FLAG[which] ? ETHTOOL_GFLAGS : SET[which]};
  if (FLAG[which]) {
    int error = ethtool(name, &value);
    if (error) return call_result(&call, error);
    value.cmd = ETHTOOL_SFLAGS;
    value.data &= ~FLAG[which];
  }
  return call_result(&call, ethtool(name, &value));
}

/** queues(name): receive queues in use; 1 where the driver does not tell. */
static napi_value queues_get(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  char name[IFNAMSIZ];
  call_text(&call, 0, name, sizeof name);
  struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
  if (ethtool(name, &channels)) return call_result(&call, 1);
  return call_result(&call, (int32_t)(channels.combined_count + channels.rx_count));
}

/** queuesOne(name): has all frames arrive at one queue; 0 or -errno. */
static napi_value queues_one(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  char name[IFNAMSIZ];
  call_text(&call, 0, name, sizeof name);
  struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
  int error = ethtool(name, &channels);
  if (error) return call_result(&call, error);
  channels.cmd = ETHTOOL_SCHANNELS;
  if (channels.combined_count > 0) {
    channels.combined_count = 1;
    channels.rx_count = channels.tx_count = 0;
  } else {
    channels.rx_count = 1;
  }
  return call_result(&call, ethtool(name, &channels));
}

void register_ethtool(napi_env env, napi_value exports) {
  export_function(env, exports, "deviceMtu", device_mtu);
  export_function(env, exports, "deviceUp", device_up);
  export_function(env, exports, "offload", offload_get);
  export_function(env, exports, "offloadOff", offload_off);
  export_function(env, exports, "queues", queues_get);
  export_function(env, exports, "queuesOne", queues_one);
}
