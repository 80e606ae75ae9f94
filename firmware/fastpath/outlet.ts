// Where packets of our own, and packets that waited, leave the walk. The engine is the outlet.

export interface Outlet {
  /** Sends a packet through a port, by number; takes the frame whatever happens (no port, down, full: counted and freed). */
  send(port: number, offset: number, lengthBytes: number): void;
  /** Gives the frame back and counts it under a drop reason's number. */
  discard(offset: number, reason: number): void;
}
