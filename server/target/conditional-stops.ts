/**
 * Breakpoints and watchpoints with a condition in words, for clients that send no bytecode (`monitor
 * break-if`, `watch-if`). They are the server's: no client's detaching takes them away. A condition is
 * asked inside the slice; one that cannot be evaluated stops, as a client's does.
 */
import { AgentError } from '../agent/agent-error.ts';
import { compileCondition } from '../agent/condition.ts';
import type { AgentEnvironment } from '../agent/environment.ts';
import type { ExpressionNames } from '../agent/expression-parser.ts';
import { AgentProgram } from '../agent/program.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import type { MachineBreakpoints } from './machine-breakpoints.ts';
import { REGISTER_SETS, type RegisterSet } from './register-set.ts';
import { BREAKPOINT_KIND, type BreakpointKind, type BreakpointOwner } from './target.ts';

/** Each is asked whenever control comes to its place, or its bytes are touched. */
const MOST_STOPS = 100;

export interface ConditionalPlace {
  /** Software for a breakpoint. */
  readonly kind: Exclude<BreakpointKind, 1>;
  readonly address: bigint;
  /** 1 for a breakpoint. */
  readonly lengthBytes: number;
}

/** One of them; it is its own owner among the machine's breakpoints. */
export interface ConditionalStop extends ConditionalPlace {
  /** From 1 on, never used again. */
  readonly number: number;
  readonly condition: string;
  /** How often it has stopped the machine. */
  readonly stops: number;
}

interface KnownStop extends ConditionalStop {
  readonly program: AgentProgram;
  stops: number;
}

export class ConditionalStops {
  readonly #breakpoints: MachineBreakpoints;
  readonly #environment: AgentEnvironment;
  readonly #symbols: SymbolTable;
  readonly #names: ExpressionNames;
  readonly #stops = new Map<number, KnownStop>();
  #nextNumber = 1;

  constructor(
    breakpoints: MachineBreakpoints,
    environment: AgentEnvironment,
    symbols: SymbolTable,
    set: RegisterSet = REGISTER_SETS['x86-64'],
  ) {
    const registers = numberRegisters(set);
    this.#breakpoints = breakpoints;
    this.#environment = environment;
    this.#symbols = symbols;
    this.#names = {
      register: (name) => registers.get(name),
      symbol: (name) => symbols.find(name),
    };
  }

  /** In the order of their numbers. */
  get list(): readonly ConditionalStop[] {
    return [...this.#stops.values()];
  }

  /** Throws `AgentError`, one line, for a condition or a length that cannot be. */
  add(place: ConditionalPlace, condition: string): ConditionalStop {
    const code = compileCondition(condition, this.#names);
    const program = new AgentProgram(code, this.#environment);
    if (this.#stops.size >= MOST_STOPS) throw new AgentError(`there are ${MOST_STOPS} already`);
    const stop: KnownStop = { ...place, condition, program, number: this.#nextNumber, stops: 0 };
    const isPossible = this.#breakpoints.insert(stop, asBreakpoint(stop), {
      conditions: [code],
      commands: [],
    });
    if (!isPossible) throw new AgentError(`${place.lengthBytes} bytes cannot be watched`);
    this.#nextNumber++;
    this.#stops.set(stop.number, stop);
    return stop;
  }

  /** False: there is none of that number. */
  remove(number: number): boolean {
    const stop = this.#stops.get(number);
    if (stop === undefined) return false;
    this.#breakpoints.remove(stop, asBreakpoint(stop));
    return this.#stops.delete(number);
  }

  /** Counts those that have just stopped the machine and says which; each one line. */
  describe(owners: readonly BreakpointOwner[]): readonly string[] {
    const met = [...this.#stops.values()].filter((stop) => owners.includes(stop));
    for (const stop of met) stop.stops++;
    return met.map((stop) => this.#text(stop));
  }

  #text({ kind, number, address, condition, program }: KnownStop): string {
    const symbol = this.#symbols.describe(address);
    const place = symbol === '' ? `0x${address.toString(16)}` : symbol;
    const isBreakpoint = kind === BREAKPOINT_KIND.software;
    const name = isBreakpoint ? `break-if ${number} at` : `watch-if ${number} of`;
    const failure = failureOf(program);
    return failure === undefined
      ? `${name} ${place}: ${condition}`
      : `${name} ${place}: ${condition} cannot be evaluated: ${failure}`;
  }
}

/** By gdb's names; those wider than 64 bits are no numbers. */
function numberRegisters({ registers }: RegisterSet) {
  const numbers = registers.filter(({ bits }) => bits <= 64);
  return new Map(numbers.map((register) => [register.name, register]));
}

function asBreakpoint({ kind, address, lengthBytes }: ConditionalPlace) {
  return { kind, address, lengthBytes, process: 1 };
}

function failureOf(program: AgentProgram): string | undefined {
  try {
    program.evaluate();
    return undefined;
  } catch (error) {
    if (error instanceof AgentError) return error.message;
    throw error;
  }
}
