// The socket below the notices: UDP to all nodes of the twin port's link. The kernel's own link-local address is the
// source; a hop limit of 1 and the scope keep it on the link. The link may come and go: the socket is opened again.

import { createSocket, type Socket } from "node:dgram";

/** Link-local multicast (RFC 4291 §2.7), transient flag set: an address of our own choosing. */
const GROUP = "ff12::5457";
const PORT = 21_591;
const REOPEN_MILLIS = 1_000;

export interface PeerLink {
  send(datagram: Buffer): void;
  close(): void;
}

/** Opens the link on a device. `onState` is told when it works and, with the reason, when it does not. */
export function openPeerLink(
  device: string,
  onDatagram: (datagram: Buffer, address: string) => void,
  onState: (works: boolean, reason: string) => void,
): PeerLink {
  let socket: Socket | undefined;
  let works: boolean | undefined;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  const say = (state: boolean, reason: string): void => {
    if (state !== works) onState(state, reason);
    works = state;
  };
  const drop = (error: Error): void => {
    say(false, error.message);
    socket?.close();
    socket = undefined;
    if (!closed) timer = setTimeout(open, REOPEN_MILLIS);
  };
  const open = (): void => {
    // The address is a literal: answering the look-up at once makes `send` leave at once, before the restart that it announces
    // keeps this process busy for 50 ms. Peers count 100 ms of silence as a death.
    const fresh = createSocket({ type: "udp6", reuseAddr: true, lookup: (address, _options, callback) => callback(null, address, 6) });
    socket = fresh;
    const fail = (error: Error): void => {
      if (socket === fresh) drop(error);
    };
    fresh.on("error", fail);
    fresh.on("message", (datagram, { address }) => onDatagram(datagram, address));
    fresh.bind({ address: `${GROUP}%${device}`, port: PORT }, () => {
      try {
        fresh.addMembership(GROUP, `::%${device}`);
        fresh.setMulticastInterface(`::%${device}`);
        fresh.setMulticastLoopback(false);
      } catch (error) {
        fail(error as Error);
      }
    });
  };
  open();
  return {
    send(datagram) {
      const current = socket;
      if (current === undefined) return;
      current.send(datagram, PORT, `${GROUP}%${device}`, (error) => say(error === null, error?.message ?? ""));
    },
    close() {
      closed = true;
      clearTimeout(timer);
      socket?.close();
      socket = undefined;
    },
  };
}
