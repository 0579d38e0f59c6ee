/**
 * Breakpoints and watchpoints, counted by owner: inserting twice is inserting once, and what one
 * owner removes stays for another (GDB manual, "Packets": Z packets must be idempotent). Each owner
 * may attach conditions and commands of his own; they are evaluated inside the machine's slice.
 */
import type { MachineControl, WatchKind } from '../../machine/index.ts';
import { AgentError } from '../agent/agent-error.ts';
import type { AgentEnvironment } from '../agent/environment.ts';
import { ERRNO, RemoteError } from '../rsp/errno.ts';
import { type BreakpointCode, compileCode, restricted } from './breakpoint-code.ts';
import {
  BREAKPOINT_KIND,
  type AgentCode,
  type Breakpoint,
  type BreakpointKind,
  type BreakpointOwner,
  type TargetBreakpoints,
} from './target.ts';

/** A debugger watches variables and buffers, not whole memories. */
const MAXIMUM_WATCHED_BYTES = 1 << 20;
/** All of a page's are looked at by each access to the page. */
const MOST_WATCHPOINTS = 1000;

const WATCH_KINDS = {
  [BREAKPOINT_KIND.write]: 'write',
  [BREAKPOINT_KIND.read]: 'read',
  [BREAKPOINT_KIND.access]: 'access',
} as const;

interface Inserted {
  readonly breakpoint: Breakpoint;
  readonly owners: Map<BreakpointOwner, OwnCode>;
}

interface OwnCode extends BreakpointCode {
  /** What it was compiled from; absent: a condition of the server's own. */
  readonly source?: AgentCode;
}

type OwnedCode = readonly [owner: BreakpointOwner, code: OwnCode];

const NO_CODE: AgentCode = { conditions: [], commands: [] };

export class MachineBreakpoints implements TargetBreakpoints {
  readonly kinds: readonly BreakpointKind[] = Object.values(BREAKPOINT_KIND);
  readonly takesCode = true;
  readonly #machine: MachineControl;
  readonly #environment: AgentEnvironment;
  readonly #inserted = new Map<string, Inserted>();
  /** Places where the runner is to take over, and whether it is now. */
  readonly #takeovers = new Map<bigint, () => boolean>();
  /** For whom the conditions held when they were last asked. */
  #metFor: readonly BreakpointOwner[] = [];

  constructor(machine: MachineControl, environment: AgentEnvironment) {
    this.#machine = machine;
    this.#environment = environment;
  }

  /**
   * Code that is not valid is refused with EINVAL; what stood there before then stays. `isMeant`: asked
   * first, whether the breakpoint counts for who is on the CPU.
   */
  insert(
    owner: BreakpointOwner,
    breakpoint: Breakpoint,
    code?: AgentCode,
    isMeant?: () => boolean,
  ): boolean {
    const { address, lengthBytes } = breakpoint;
    if (!isCanonical(address)) {
      throw new RemoteError(ERRNO.EINVAL, 'not an address at which the CPU can stop');
    }
    const isWatch = watchKind(breakpoint.kind) !== undefined;
    if (isWatch && (lengthBytes < 1 || lengthBytes > MAXIMUM_WATCHED_BYTES)) return false;
    if (isWatch && this.#hasNoRoomFor(breakpoint)) return false;
    const compiled = this.#compile(code);
    if (isMeant === undefined) {
      this.#own(owner, breakpoint, { ...compiled, source: code ?? NO_CODE });
    } else this.#own(owner, breakpoint, restricted(compiled, isMeant));
    return true;
  }

  #hasNoRoomFor(watchpoint: Breakpoint): boolean {
    if (this.#inserted.size < MOST_WATCHPOINTS || this.#inserted.has(keyOf(watchpoint)))
      return false;
    const watched = [...this.#inserted.values()].filter(
      ({ breakpoint: { kind } }) => watchKind(kind) !== undefined,
    );
    return watched.length >= MOST_WATCHPOINTS;
  }

  /** A breakpoint with a condition of our own, which may be asked more than once at a place. */
  insertPredicate(owner: BreakpointOwner, breakpoint: Breakpoint, isMet: () => boolean): void {
    this.#own(owner, breakpoint, { isPlain: false, isMet, runCommands: undefined });
  }

  #own(owner: BreakpointOwner, breakpoint: Breakpoint, code: OwnCode): void {
    const key = keyOf(breakpoint);
    const present = this.#inserted.get(key) ?? { breakpoint, owners: new Map() };
    this.#inserted.set(key, present);
    present.owners.set(owner, code);
    this.#arm(breakpoint);
  }

  remove(owner: BreakpointOwner, breakpoint: Breakpoint): void {
    const key = keyOf(breakpoint);
    const present = this.#inserted.get(key);
    if (present?.owners.delete(owner) !== true) return;
    if (present.owners.size === 0) this.#inserted.delete(key);
    this.#arm(present.breakpoint);
  }

  removeAllOf(owner: BreakpointOwner): void {
    for (const { breakpoint } of [...this.#inserted.values()]) this.remove(owner, breakpoint);
  }

  removeAll(): void {
    for (const { breakpoint, owners } of [...this.#inserted.values()]) {
      for (const owner of [...owners.keys()]) this.remove(owner, breakpoint);
    }
  }

  /** Inserts on another machine what stops this one, with its conditions. */
  copyStopsTo(other: MachineBreakpoints): void {
    for (const { breakpoint, owners } of this.#inserted.values()) {
      for (const [owner, { source }] of owners) {
        if (source?.commands.length === 0) other.insert(owner, breakpoint, source);
      }
    }
  }

  /** The machine has been put where another one has stopped for these owners. */
  takeOver(owners: readonly BreakpointOwner[]): void {
    this.#metFor = owners;
  }

  /**
   * The machine stops for nobody at an address when `isWanted` says so; undefined: no longer. A
   * tracepoint's steps are the runner's work, not that of generated code.
   */
  setTakeover(address: bigint, isWanted: (() => boolean) | undefined): void {
    if (isWanted === undefined) this.#takeovers.delete(address);
    else this.#takeovers.set(address, isWanted);
    this.#armBreakpoint(address);
  }

  /** Whether a breakpoint of either kind at an address is to stop now; runs its commands if not. */
  stopsAt(address: bigint): boolean {
    const owners = this.#ownersAt(address);
    return owners.length > 0 && (owners.every(isPlain) || this.#ask(owners));
  }

  /** Whether the machine has stopped at this address for anybody but these owners. */
  hasStoppedForOthers(address: bigint, owners: readonly (BreakpointOwner | undefined)[]): boolean {
    const met = this.stoppedFor({ kind: 'breakpoint', address });
    return met.some((other) => !owners.includes(other));
  }

  /** The owners for whom the machine has just stopped at a breakpoint or watchpoint. */
  stoppedFor(end: {
    readonly kind: 'breakpoint' | 'watchpoint';
    readonly address: bigint;
  }): readonly BreakpointOwner[] {
    const isBreakpoint = end.kind === 'breakpoint';
    const owners = isBreakpoint ? this.#ownersAt(end.address) : this.#watchersOf(end.address);
    return owners.every(isPlain) ? owners.map(([owner]) => owner) : this.#metFor;
  }

  /** Whether the breakpoint at an address was inserted by Z1 only. */
  isHardwareAt(address: bigint): boolean {
    return this.#at(address, BREAKPOINT_KIND.software) === undefined;
  }

  #compile(code: AgentCode | undefined): BreakpointCode {
    try {
      return compileCode(code, this.#environment);
    } catch (error) {
      if (error instanceof AgentError) throw new RemoteError(ERRNO.EINVAL, error.message);
      throw error;
    }
  }

  /** Tells the machine of a breakpoint as it now stands. */
  #arm(breakpoint: Breakpoint): void {
    const watch = watchKind(breakpoint.kind);
    if (watch === undefined) this.#armBreakpoint(breakpoint.address);
    else this.#armWatchpoint(breakpoint, watch);
  }

  #armBreakpoint(address: bigint): void {
    const owners = this.#ownersAt(address);
    const isTakenOver = this.#takeovers.get(address);
    if (isTakenOver !== undefined) {
      this.#machine.addBreakpoint(address, () => {
        if (this.#ask(owners)) return true;
        this.#metFor = [];
        return isTakenOver();
      });
    } else if (owners.length === 0) this.#machine.removeBreakpoint(address);
    else if (owners.every(isPlain)) this.#machine.addBreakpoint(address);
    else this.#machine.addBreakpoint(address, () => this.#ask(owners));
  }

  #armWatchpoint(breakpoint: Breakpoint, watch: WatchKind): void {
    const { address, lengthBytes } = breakpoint;
    const owners = [...(this.#inserted.get(keyOf(breakpoint))?.owners ?? [])];
    if (owners.length === 0) this.#machine.removeWatchpoint(address, lengthBytes, watch);
    else if (owners.every(isPlain)) this.#machine.addWatchpoint(address, lengthBytes, watch);
    else this.#machine.addWatchpoint(address, lengthBytes, watch, () => this.#ask(owners));
  }

  /** Whether anybody wants to stop. Whoever has commands wants them run instead. */
  #ask(owners: readonly OwnedCode[]): boolean {
    let met: BreakpointOwner[] | undefined;
    for (const [owner, { isMet, runCommands }] of owners) {
      if (!isMet()) continue;
      if (runCommands === undefined) (met ??= []).push(owner);
      else runCommands();
    }
    if (met !== undefined) this.#metFor = met;
    return met !== undefined;
  }

  #ownersAt(address: bigint): readonly OwnedCode[] {
    const kinds = [BREAKPOINT_KIND.software, BREAKPOINT_KIND.hardware];
    return kinds.flatMap((kind) => [...(this.#at(address, kind)?.owners ?? [])]);
  }

  #watchersOf(address: bigint): readonly OwnedCode[] {
    return [...this.#inserted.values()]
      .filter(({ breakpoint: { kind } }) => watchKind(kind) !== undefined)
      .filter(({ breakpoint: { address: start, lengthBytes } }) => {
        return start <= address && address < start + BigInt(lengthBytes);
      })
      .flatMap(({ owners }) => [...owners]);
  }

  #at(address: bigint, kind: BreakpointKind): Inserted | undefined {
    return this.#inserted.get(keyOf({ kind, address, lengthBytes: 1, process: 1 }));
  }
}

function isPlain([, code]: OwnedCode): boolean {
  return code.isPlain;
}

function watchKind(kind: BreakpointKind): WatchKind | undefined {
  return kind === BREAKPOINT_KIND.software || kind === BREAKPOINT_KIND.hardware
    ? undefined
    : WATCH_KINDS[kind];
}

function keyOf({ kind, address, lengthBytes }: Breakpoint): string {
  const isWatch = watchKind(kind) !== undefined;
  return `${kind}:${address.toString(16)}:${isWatch ? lengthBytes : 0}`;
}

/** Bits 48–63 are copies of bit 47 (Intel SDM 1 §3.3.7.1); see also stack-windows.ts. */
function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
}
