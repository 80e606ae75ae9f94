// Who gets a frame: the dataplane or the kernel. Two programs, one decision:
//
//   twinwall_steer  (XDP)         ours → the port's AF_XDP socket; without a socket the fallback is XDP_DROP, so that a
//                                 dead dataplane passes nothing
//   twinwall_shield (tc ingress)  for the pcap driver: the capture sees frames before tc does, the kernel's stack after
//                                 it; what is ours is shot, so that the kernel answers and forwards nothing, whoever died
//
// On a data port everything is ours except frames for the appliance's own management address; on the twin port only our
// EtherType is (the control channel is ordinary kernel TCP).

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer.h"

#define QUEUES 64
#define IPV4_DESTINATION 16
#define IPV4_SOURCE_WORDS 20
#define ARP_TARGET 24
#define ARP_BYTES 28
#define IPV6_DESTINATION 24
#define IPV6_BYTES 40

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, QUEUES);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

/** Set before loading, read-only afterwards; adoption compares it byte by byte. */
volatile const struct steering steering = {};

static __always_inline int same_word(const void *bytes, __u32 word) { return *(const __u32 *)bytes == word; }

/** Solicited-node multicast group of the address: ff02::1:ffXX:XXXX (RFC 4291 §2.7.1). */
static __always_inline int solicits(const __u32 *to) {
  return to[0] == bpf_htonl(0xff020000) && to[1] == 0 && to[2] == bpf_htonl(1) && to[3] == (steering.management[3] | bpf_htonl(0xff000000));
}

/** 1: the frame is for the appliance's own management address. */
static __always_inline int is_management(const __u8 *data, const __u8 *end) {
  if (!steering.has_management) return 0;
  const __u8 *body = data + ETH_HLEN;
  __u16 type = *(const __u16 *)(data + 12);
  if (type == bpf_htons(ETH_P_IP)) return body + IPV4_SOURCE_WORDS <= end && steering.has_management == 4 && same_word(body + IPV4_DESTINATION, steering.management[3]);
  if (type == bpf_htons(ETH_P_ARP)) return body + ARP_BYTES <= end && steering.has_management == 4 && same_word(body + ARP_TARGET, steering.management[3]);
  if (type != bpf_htons(ETH_P_IPV6) || body + IPV6_BYTES > end || steering.has_management != 6) return 0;
  const __u32 *to = (const __u32 *)(body + IPV6_DESTINATION);
  if (to[0] == steering.management[0] && to[1] == steering.management[1] && to[2] == steering.management[2] && to[3] == steering.management[3]) return 1;
  return solicits(to);
}

/** 1: the dataplane's. A frame without a whole Ethernet header is nobody's, which is safest as ours. */
static __always_inline int is_ours(const __u8 *data, const __u8 *end) {
  if (data + ETH_HLEN > end) return 1;
  if (steering.twin) return *(const __u16 *)(data + 12) == bpf_htons(TWIN_ETHERTYPE);
  return !is_management(data, end);
}

SEC("xdp")
int twinwall_steer(struct xdp_md *context) {
  if (!is_ours((const __u8 *)(long)context->data, (const __u8 *)(long)context->data_end)) return XDP_PASS;
  return (int)bpf_redirect_map(&sockets, context->rx_queue_index, XDP_DROP);
}

SEC("tc")
int twinwall_shield(struct __sk_buff *context) {
  bpf_skb_pull_data(context, ETH_HLEN + IPV6_BYTES);
  // A tag that the kernel took out of the frame: never management, never the twin's.
  if (context->vlan_present) return steering.twin ? TC_ACT_OK : TC_ACT_SHOT;
  return is_ours((const __u8 *)(long)context->data, (const __u8 *)(long)context->data_end) ? TC_ACT_SHOT : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
