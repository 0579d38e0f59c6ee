/** What a breakpoint carries, compiled: when it counts, and what is done then instead of stopping. */
import { AgentError } from '../agent/agent-error.ts';
import type { AgentEnvironment } from '../agent/environment.ts';
import { AgentProgram } from '../agent/program.ts';
import type { AgentCode } from './target.ts';

export interface BreakpointCode {
  /** It has neither conditions nor commands: it stops whenever control comes there. */
  readonly isPlain: boolean;
  /** Whether the breakpoint counts at this moment. */
  readonly isMet: () => boolean;
  /** With commands a breakpoint that counts runs them and does not stop. */
  readonly runCommands: (() => void) | undefined;
}

/** All conditions of a place together, and all commands: about 20 ms. */
const MOST_STEPS_AT_PLACE = 1_000_000;

const PLAIN: BreakpointCode = { isPlain: true, isMet: () => true, runCommands: undefined };

/** Throws `AgentError` for bytes that are no valid expression. */
export function compileCode(
  code: AgentCode | undefined,
  environment: AgentEnvironment,
): BreakpointCode {
  if (code === undefined) return PLAIN;
  const conditions = code.conditions.map((bytes) => new AgentProgram(bytes, environment));
  const commands = code.commands.map((bytes) => new AgentProgram(bytes, environment));
  const any = (): boolean => isAnyTrue(conditions);
  return {
    isPlain: conditions.length === 0 && commands.length === 0,
    isMet: conditions.length === 0 ? PLAIN.isMet : any,
    runCommands: commands.length === 0 ? undefined : () => runAll(commands, environment),
  };
}

/** The same, where `isMeant` says so. */
export function restricted(code: BreakpointCode, isMeant: () => boolean): BreakpointCode {
  return { ...code, isPlain: false, isMet: () => isMeant() && code.isMet() };
}

/** With too many that cost too much it counts, as one does that fails: a user sees it. */
function isAnyTrue(conditions: readonly AgentProgram[]): boolean {
  let steps = 0;
  return conditions.some((condition) => {
    const isTrue = condition.isTrue();
    steps += condition.steps;
    return isTrue || steps > MOST_STEPS_AT_PLACE;
  });
}

/** A command that fails says so and does not keep the others from running. */
function runAll(commands: readonly AgentProgram[], environment: AgentEnvironment): void {
  let steps = 0;
  for (const command of commands) {
    if (steps > MOST_STEPS_AT_PLACE) {
      environment.print('[commands were left out: too much at one breakpoint]\n');
      return;
    }
    try {
      command.evaluate();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      environment.print(`[a breakpoint's command failed: ${error.message}]\n`);
    }
    steps += command.steps;
  }
}
