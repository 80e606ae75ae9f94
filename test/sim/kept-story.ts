// A story that failed once, as it was drawn, or as short as it still failed (seeds.ts, seeds-of-pairs.ts).

import { parseFault } from "./faults.ts";
import type { Settings, Story } from "./story.ts";

export interface KeptStory extends Story {
  /** What was wrong. */
  readonly was: string;
}

export function story(seed: number, was: string, work: Story["work"], settings: Settings, faults: readonly string[]): KeptStory {
  return { seed, was, work, settings, faults: faults.map(parseFault) };
}
