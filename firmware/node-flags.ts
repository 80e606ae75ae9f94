// How Node runs the packet process; the manager and the benchmark read it here.

export const DATAPLANE_NODE_FLAGS: readonly string[] = [
  // Without lazy feedback the worst batch while the compiler warms up is 2.5 ms.
  "--no-lazy-feedback-allocation",
  // The walk is many small functions; by default V8 stops inlining after 920 bytes of bytecode. A hit with warm rows: 252 ns → 209.
  "--max-inlined-bytecode-size=2000",
  "--max-inlined-bytecode-size-cumulative=6000",
];
