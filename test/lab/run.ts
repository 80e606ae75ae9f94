// Runs scenarios: each in a fresh lab, or, to repeat one, in a lab that is put right between two accidents. A run that fails takes its
// lab with it. Whoever fails, for whatever reason, becomes a result.

import { writeAccount } from "./account.ts";
import { type Lab, lastWords, startLab, stopLab } from "./lab.ts";
import { Failure, type Measured } from "./measured.ts";
import type { LabDriver, ScenarioResult } from "./result.ts";
import type { Scenario } from "./scenarios.ts";
import type { Screen } from "./screen.ts";
import type { UnitDriver } from "./unit.ts";

export interface Outcome {
  readonly result: ScenarioResult;
  readonly driver: LabDriver | undefined;
}

/** What runs of one scenario have in common. */
class Runner {
  private readonly scenario: Scenario;
  private readonly driver: UnitDriver | undefined;
  private readonly screen: Screen;
  private lab: Lab | undefined;
  private startedAt = 0;

  constructor(scenario: Scenario, driver: UnitDriver | undefined, screen: Screen) {
    this.scenario = scenario;
    this.driver = driver;
    this.screen = screen;
  }

  /** One run, in the lab that is there or in a fresh one; with `isKept` the lab stays for the next one, put right. */
  async run(isKept: boolean): Promise<Outcome> {
    const { scenario, screen } = this;
    screen.line(`${screen.paint("bold", scenario.name)}: ${scenario.sentence}`);
    this.startedAt = performance.now();
    let measured: Partial<Measured> = {};
    let pause: { readonly pauseMs?: number } = {};
    try {
      this.lab ??= await startLab(scenario.options, this.driver, (text) => this.say(text));
      for (const name of this.lab.names) this.lab.units[name].watchPauses();
      const whole = await scenario.run(this.lab);
      measured = whole;
      pause = pauseIn(this.lab);
      this.say(screen.paint("green", `passed: ${whole.detail}`));
      if (isKept) await scenario.restore?.(this.lab);
      return this.outcome({ ...whole, ...pause, passed: true });
    } catch (error) {
      const detail = (error as Error).message;
      if (error instanceof Failure) measured = { ...measured, ...error.measured };
      if (this.lab !== undefined) pause = { ...pause, ...pauseIn(this.lab) };
      this.lament(detail);
      return this.outcome({ ...measured, ...pause, passed: false, detail });
    } finally {
      if (!isKept || scenario.restore === undefined) this.end();
    }
  }

  private say(text: string): void {
    const seconds = ((performance.now() - this.startedAt) / 1_000).toFixed(1).padStart(5);
    this.screen.line(`  ${this.screen.paint("dim", `${seconds} s`)}  ${text}`);
  }

  private outcome(result: Omit<ScenarioResult, "name" | "durationMs">): Outcome {
    const driver = this.lab?.driver;
    if (!result.passed) this.end();
    return { result: { name: this.scenario.name, ...result, durationMs: Math.round(performance.now() - this.startedAt) }, driver };
  }

  private lament(detail: string): void {
    this.say(this.screen.paint("red", `FAILED: ${detail}`));
    if (this.lab === undefined) return;
    this.screen.line(lastWords(this.lab.units, this.lab.names));
    this.screen.line(`  What the units know of it lies in ${writeAccount(this.lab, this.scenario.name, detail)}`);
  }

  private end(): void {
    this.lab = undefined;
    stopLab();
  }
}

/** The longest time that the machine kept a dataplane of the lab from running, when there was one worth an event. */
function pauseIn(lab: Lab): { readonly pauseMs?: number } {
  const pauseMs = Math.max(...lab.names.map((name) => lab.units[name].longestPauseMillis()));
  return pauseMs > 0 ? { pauseMs } : {};
}

/**
 * Runs one scenario in a fresh lab. A dataplane that the machine does not run for longer than half the detection time discards what arrived
 * meanwhile and rejoins, as it must; a scenario that failed in such company is run once more, and says so.
 */
export async function runScenario(scenario: Scenario, driver: UnitDriver | undefined, screen: Screen): Promise<Outcome> {
  const first = await new Runner(scenario, driver, screen).run(false);
  if (first.result.passed || first.result.pauseMs === undefined) return first;
  screen.line(`  This machine did not run a dataplane for ${first.result.pauseMs} ms, which looks like an accident of its own: once more.`);
  const second = await new Runner(scenario, driver, screen).run(false);
  return { ...second, result: { ...second.result, attempts: 2 } };
}

/** Runs one scenario `times` times, in one lab while all goes well. No run is given a second chance: who counts, counts everything. */
export async function repeatScenario(scenario: Scenario, times: number, driver: UnitDriver | undefined, screen: Screen): Promise<readonly Outcome[]> {
  const runner = new Runner(scenario, driver, screen);
  const outcomes: Outcome[] = [];
  for (let k = 1; k <= times; k++) outcomes.push(await runner.run(k < times));
  return outcomes;
}
