// Devices as netlink tells: one socket that says "something changed" to all ports of the process, and one question about
// one device. Never blocks.

#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call.h"

#define REPLY_BYTES 32768

/** Order of a device's words; native.ts names them too. */
enum { DEVICE_INDEX, DEVICE_FLAGS, DEVICE_MTU, DEVICE_MASTER, DEVICE_WORDS };
#define MAC_BYTES 6

static int route_socket(unsigned groups) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
  if (fd < 0) return -errno;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int error = -errno;
  close(fd);
  return error;
}

/** linkWatch(): a descriptor that hears of every device's changes, or -errno. */
static napi_value link_watch(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 0)) return NULL;
  return call_result(&call, route_socket(RTMGRP_LINK));
}

/** linkChanged(descriptor): 1 when anything happened since the last call (lost messages count as something), else 0. */
static napi_value link_changed(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  char message[REPLY_BYTES];
  int changed = 0;
  while (recv(call_int(&call, 0), message, sizeof message, MSG_DONTWAIT) > 0 || errno == ENOBUFS) {
    changed = 1;
    errno = 0;
  }
  return call_result(&call, changed);
}

static int link_ask(int fd, const char *name) {
  struct {
    struct nlmsghdr header;
    struct ifinfomsg body;
    struct rtattr attribute;
    char name[IFNAMSIZ];
  } question;
  memset(&question, 0, sizeof question);
  question.header = (struct nlmsghdr){.nlmsg_len = sizeof question, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST};
  question.body.ifi_family = AF_UNSPEC;
  question.attribute = (struct rtattr){.rta_len = RTA_LENGTH(IFNAMSIZ), .rta_type = IFLA_IFNAME};
  strncpy(question.name, name, IFNAMSIZ - 1);
  return send(fd, &question, sizeof question, 0) < 0 ? -errno : 0;
}

static void link_read(struct nlmsghdr *header, int32_t *words, uint8_t *mac) {
  struct ifinfomsg *body = NLMSG_DATA(header);
  words[DEVICE_INDEX] = body->ifi_index;
  words[DEVICE_FLAGS] = (int32_t)body->ifi_flags;
  int left = (int)IFLA_PAYLOAD(header);
  for (struct rtattr *each = IFLA_RTA(body); RTA_OK(each, left); each = RTA_NEXT(each, left)) {
    if (each->rta_type == IFLA_MTU) memcpy(&words[DEVICE_MTU], RTA_DATA(each), 4);
    if (each->rta_type == IFLA_MASTER) memcpy(&words[DEVICE_MASTER], RTA_DATA(each), 4);
    if (each->rta_type == IFLA_ADDRESS && RTA_PAYLOAD(each) == MAC_BYTES) memcpy(mac, RTA_DATA(each), MAC_BYTES);
  }
}

/** linkState(name, words: Int32Array(4), mac: Uint8Array(6)): index, IFF_* flags, MTU, master (0: none). 0 or -errno; -ENODEV: no such device. */
static napi_value link_state(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 3)) return NULL;
  char name[IFNAMSIZ], reply[REPLY_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
  call_text(&call, 0, name, sizeof name);
  struct bytes words = call_array(&call, 1), mac = call_array(&call, 2);
  if (words.length != DEVICE_WORDS * 4 || mac.length != MAC_BYTES) return call_bug(env, "linkState: wrong sizes");
  memset(words.data, 0, words.length);
  int fd = route_socket(0);
  if (fd < 0) return call_result(&call, fd);
  int error = link_ask(fd, name);
  ssize_t got = error ? -1 : recv(fd, reply, sizeof reply, MSG_DONTWAIT);
  if (!error && got < 0) error = -errno;
  close(fd);
  struct nlmsghdr *header = (struct nlmsghdr *)(void *)reply;
  if (error || !NLMSG_OK(header, (size_t)got)) return call_result(&call, error ? error : -EPROTO);
  if (header->nlmsg_type == NLMSG_ERROR) return call_result(&call, ((struct nlmsgerr *)NLMSG_DATA(header))->error);
  link_read(header, (int32_t *)(void *)words.data, mac.data);
  return call_result(&call, 0);
}

/** linkAddresses(name): how many IPv4 addresses the kernel has on the device. */
static napi_value link_addresses(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  char name[IFNAMSIZ];
  call_text(&call, 0, name, sizeof name);
  struct ifaddrs *list;
  if (getifaddrs(&list)) return call_result(&call, -errno);
  int32_t count = 0;
  for (struct ifaddrs *each = list; each != NULL; each = each->ifa_next) {
    if (each->ifa_addr != NULL && each->ifa_addr->sa_family == AF_INET && strcmp(each->ifa_name, name) == 0) count++;
  }
  freeifaddrs(list);
  return call_result(&call, count);
}

void register_netlink(napi_env env, napi_value exports) {
  export_function(env, exports, "linkWatch", link_watch);
  export_function(env, exports, "linkChanged", link_changed);
  export_function(env, exports, "linkState", link_state);
  export_function(env, exports, "linkAddresses", link_addresses);
}
