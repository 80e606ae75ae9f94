// Packet sockets. Every port keeps one: its promiscuous membership ends with the process, unlike a flag of the device.
// The pcap driver sends through it in batches, and looks for node-pcap's own socket, whose descriptor node-pcap does not tell, so
// that one `poll` can wait for both drivers.

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call.h"

#define SEND_BATCH 64
#define SEND_BUFFER_BYTES (4 * 1024 * 1024)
#define DESCRIPTORS_SEARCHED 1024

/** packetOpen(ifindex, promiscuous): a socket that sends on the device and receives nothing; descriptor or -errno. */
static napi_value packet_open(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 2)) return NULL;
  int ifindex = call_int(&call, 0);
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return call_result(&call, -errno);
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = ifindex};
  struct packet_mreq member = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC};
  int bytes = SEND_BUFFER_BYTES;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) ||
      (call_int(&call, 1) && setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &member, sizeof member))) {
    int error = -errno;
    close(fd);
    return call_result(&call, error);
  }
  return call_result(&call, fd);
}

/**
 * packetSend(descriptor, area, offsets: Int32Array, lengths: Int32Array, from, count): sends entries from..from+count-1.
 * Returns how many the kernel took (0: busy, try again), or -errno for the first; -EMSGSIZE is that packet's own fault.
 */
static napi_value packet_send(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 6)) return NULL;
  struct bytes area = call_buffer(&call, 1);
  struct bytes offsets = call_array(&call, 2), lengths = call_array(&call, 3);
  int from = call_int(&call, 4), count = call_int(&call, 5);
  if (from < 0 || count < 0 || (size_t)(from + count) * 4 > offsets.length || (size_t)(from + count) * 4 > lengths.length) return call_bug(env, "packetSend: outside the lists");
  const int32_t *offset = (const int32_t *)(void *)offsets.data + from, *length = (const int32_t *)(void *)lengths.data + from;
  struct mmsghdr messages[SEND_BATCH];
  struct iovec parts[SEND_BATCH];
  if (count > SEND_BATCH) count = SEND_BATCH;
  memset(messages, 0, sizeof messages);
  for (int k = 0; k < count; k++) {
    if (offset[k] < 0 || length[k] < 0 || (size_t)offset[k] + (size_t)length[k] > area.length) return call_bug(env, "packetSend: outside packet memory");
    parts[k] = (struct iovec){area.data + offset[k], (size_t)length[k]};
    messages[k].msg_hdr.msg_iov = &parts[k];
    messages[k].msg_hdr.msg_iovlen = 1;
  }
  int sent = sendmmsg(call_int(&call, 0), messages, (unsigned)count, MSG_DONTWAIT);
  if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) sent = 0;
  return call_result(&call, sent < 0 ? -errno : sent);
}

/**
 * packetCapture(ifindex): finds this process's socket that captures on the device, and has it ignore what is sent there
 * (Linux 4.20). Descriptor, -ENOENT or -errno.
 */
static napi_value packet_capture(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  int ifindex = call_int(&call, 0), on = 1;
  for (int fd = 3; fd < DESCRIPTORS_SEARCHED; fd++) {
    struct sockaddr_ll address;
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) || length < offsetof(struct sockaddr_ll, sll_addr)) continue;
    // A protocol of 0 is a socket that receives nothing: packetOpen's.
    if (address.sll_family != AF_PACKET || address.sll_ifindex != ifindex || address.sll_protocol == 0) continue;
    return call_result(&call, setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) ? -errno : fd);
  }
  return call_result(&call, -ENOENT);
}

/** descriptorClose(descriptor): 0 or -errno. */
static napi_value descriptor_close(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_read(&call, env, info, 1)) return NULL;
  return call_result(&call, close(call_int(&call, 0)) ? -errno : 0);
}

void register_packet(napi_env env, napi_value exports) {
  export_function(env, exports, "packetOpen", packet_open);
  export_function(env, exports, "packetSend", packet_send);
  export_function(env, exports, "packetCapture", packet_capture);
  export_function(env, exports, "descriptorClose", descriptor_close);
}
