/** One tracepoint: what was said about it, the same compiled, and what has come of it. */
import { AgentError } from '../../agent/agent-error.ts';
import { AgentProgram } from '../../agent/program.ts';
import { ERRNO, RemoteError } from '../../rsp/errno.ts';
import type {
  TraceAction,
  TracepointDefinition,
  TracepointDescription,
  TracepointSource,
} from '../target.ts';
import type { Collect, Collector } from './collector.ts';

const MOST_ACTIONS = 1000;
const MOST_SOURCE_CHARACTERS = 1 << 16;
/** Instructions after the place: more of them would slow the guest down for long at each hit. */
const MOST_STEPS = 100_000;

export class Tracepoint implements TracepointDescription {
  readonly definition: TracepointDefinition;
  readonly actions: TraceAction[] = [];
  readonly sources: TracepointSource[] = [];
  isEnabled: boolean;
  hits = 0;
  bytes = 0;
  /** What is collected at the place, and after each step. */
  readonly atPlace: Collect[] = [];
  readonly atStep: Collect[] = [];
  readonly #collector: Collector;
  readonly #condition: AgentProgram | undefined;
  #isStepList = false;

  /** Throws `RemoteError` for a condition that is no expression. */
  constructor(definition: TracepointDefinition, collector: Collector) {
    if (definition.stepCount > MOST_STEPS) {
      throw new RemoteError(ERRNO.EINVAL, `while-stepping: at most ${MOST_STEPS} steps`);
    }
    this.definition = definition;
    this.isEnabled = definition.isEnabled;
    this.#collector = collector;
    const { condition } = definition;
    if (condition === undefined) return;
    this.#condition = valid(() => new AgentProgram(condition, collector.environment));
  }

  /** Throws `RemoteError` for an action that cannot be carried out. */
  add(actions: readonly TraceAction[]): void {
    if (this.actions.length + actions.length > MOST_ACTIONS) {
      throw new RemoteError(ERRNO.E2BIG, `a tracepoint has at most ${MOST_ACTIONS} actions`);
    }
    for (const action of actions) {
      if (action.kind === 'while-stepping') this.#isStepList = true;
      else this.#list().push(valid(() => this.#collector.compile(action)));
      this.actions.push(action);
    }
  }

  addSource(source: TracepointSource): void {
    const before = this.sources.reduce((sum, { text }) => sum + text.length + 1, 0);
    if (before + source.text.length >= MOST_SOURCE_CHARACTERS) {
      throw new RemoteError(ERRNO.E2BIG, 'more source text than is kept of a tracepoint');
    }
    this.sources.push(source);
  }

  /** Throws `AgentError` when that cannot be found out. */
  isMet(): boolean {
    return this.#condition === undefined || this.#condition.evaluate() !== 0n;
  }

  /** Whether it ends the run, having counted often enough. */
  get hasPassed(): boolean {
    const { passCount } = this.definition;
    return passCount > 0 && this.hits >= passCount;
  }

  /** A new run begins. */
  forgetUse(): void {
    this.hits = 0;
    this.bytes = 0;
  }

  #list(): Collect[] {
    return this.#isStepList ? this.atStep : this.atPlace;
  }
}

function valid<Result>(make: () => Result): Result {
  try {
    return make();
  } catch (error) {
    if (error instanceof AgentError) throw new RemoteError(ERRNO.EINVAL, error.message);
    throw error;
  }
}
