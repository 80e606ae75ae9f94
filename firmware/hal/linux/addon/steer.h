// What the steering program is told at loading. Shared by steer.bpf.c and steering.c.
#ifndef TWINWALL_STEER_H
#define TWINWALL_STEER_H

#include <linux/types.h>

/** IEEE Std 802 - Local Experimental EtherType 1. */
#define TWIN_ETHERTYPE 0x88B5

struct steering {
  /** Hash of the program's source: adoption takes no other build's program. */
  __u32 build;
  /** 1: twin port. */
  __u32 twin;
  /** 0: none, 4: IPv4 (in the last word), 6: IPv6. */
  __u32 has_management;
  /** Network order. */
  __u32 management[4];
};

#endif
