/**
 * Breakpoints and watchpoints by process, while the debugger has processes: gdb inserts and removes
 * each one once per inferior. A place is armed as long as any process has a breakpoint there, which
 * for an address in the kernel's half may be all of them; it stops only the process that has it.
 * Nothing is ever written into memory, so a child of a fork has none of its parent's.
 */
import type { MachineBreakpoints } from '../machine-breakpoints.ts';
import type {
  AgentCode,
  Breakpoint,
  BreakpointOwner,
  ProcessNumber,
  TargetBreakpoints,
} from '../target.ts';

export interface BreakpointScope {
  readonly isActive: boolean;
  /** Whether a thread of the process is on the CPU, and was resumed. */
  isRunning(process: ProcessNumber): boolean;
}

export class ProcessBreakpoints implements TargetBreakpoints {
  readonly kinds;
  readonly takesCode = true;
  readonly #all: MachineBreakpoints;
  readonly #scope: BreakpointScope;
  /** An owner's breakpoints of one process have an owner of their own among the machine's. */
  readonly #owners = new Map<BreakpointOwner, Map<ProcessNumber, BreakpointOwner>>();

  constructor(all: MachineBreakpoints, scope: BreakpointScope) {
    this.#all = all;
    this.#scope = scope;
    this.kinds = all.kinds;
  }

  insert(owner: BreakpointOwner, breakpoint: Breakpoint, code?: AgentCode): boolean {
    if (!this.#scope.isActive) return this.#all.insert(owner, breakpoint, code);
    const { process } = breakpoint;
    const isMeant = (): boolean => this.#scope.isRunning(process);
    return this.#all.insert(this.#ownerIn(owner, process), breakpoint, code, isMeant);
  }

  remove(owner: BreakpointOwner, breakpoint: Breakpoint): void {
    const inProcess = this.#owners.get(owner)?.get(breakpoint.process);
    this.#all.remove(inProcess ?? owner, breakpoint);
  }

  removeAllOf(owner: BreakpointOwner): void {
    for (const inProcess of this.#owners.get(owner)?.values() ?? []) {
      this.#all.removeAllOf(inProcess);
    }
    this.#owners.delete(owner);
    this.#all.removeAllOf(owner);
  }

  /** The debugger has the process no longer. */
  letGo(process: ProcessNumber): void {
    for (const owners of this.#owners.values()) {
      const inProcess = owners.get(process);
      if (inProcess !== undefined) this.#all.removeAllOf(inProcess);
      owners.delete(process);
    }
  }

  #ownerIn(owner: BreakpointOwner, process: ProcessNumber): BreakpointOwner {
    const owners = this.#owners.get(owner) ?? new Map<ProcessNumber, BreakpointOwner>();
    this.#owners.set(owner, owners);
    const inProcess = owners.get(process) ?? { process };
    owners.set(process, inProcess);
    return inProcess;
  }
}
