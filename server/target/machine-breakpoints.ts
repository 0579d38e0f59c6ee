/**
 * Breakpoints and watchpoints, counted by owner: inserting twice is inserting once, and what one
 * owner removes stays for another (GDB manual, "Packets": Z packets must be idempotent).
 */
import type { MachineControl } from '../../machine/index.ts';
import {
  BREAKPOINT_KIND,
  type Breakpoint,
  type BreakpointKind,
  type BreakpointOwner,
  type TargetBreakpoints,
} from './target.ts';

/** A debugger watches variables and buffers, not whole memories. */
const MAXIMUM_WATCHED_BYTES = 1 << 20;

const WATCH_KINDS = {
  [BREAKPOINT_KIND.write]: 'write',
  [BREAKPOINT_KIND.read]: 'read',
  [BREAKPOINT_KIND.access]: 'access',
} as const;

interface Inserted {
  readonly breakpoint: Breakpoint;
  readonly owners: Set<BreakpointOwner>;
}

export class MachineBreakpoints implements TargetBreakpoints {
  readonly kinds: readonly BreakpointKind[] = Object.values(BREAKPOINT_KIND);
  readonly #machine: MachineControl;
  readonly #inserted = new Map<string, Inserted>();

  constructor(machine: MachineControl) {
    this.#machine = machine;
  }

  insert(owner: BreakpointOwner, breakpoint: Breakpoint): boolean {
    const watch = watchKind(breakpoint.kind);
    const { address, lengthBytes } = breakpoint;
    if (watch !== undefined && (lengthBytes < 1 || lengthBytes > MAXIMUM_WATCHED_BYTES)) {
      return false;
    }
    const key = keyOf(breakpoint);
    const present = this.#inserted.get(key);
    if (present !== undefined) {
      present.owners.add(owner);
      return true;
    }
    if (watch !== undefined) this.#machine.addWatchpoint(address, lengthBytes, watch);
    else this.#machine.addBreakpoint(address);
    this.#inserted.set(key, { breakpoint, owners: new Set([owner]) });
    return true;
  }

  remove(owner: BreakpointOwner, breakpoint: Breakpoint): void {
    const key = keyOf(breakpoint);
    const present = this.#inserted.get(key);
    if (present === undefined || !present.owners.delete(owner) || present.owners.size > 0) return;
    this.#inserted.delete(key);
    const { kind, address, lengthBytes } = present.breakpoint;
    const watch = watchKind(kind);
    if (watch !== undefined) this.#machine.removeWatchpoint(address, lengthBytes, watch);
    else if (!this.isAt(address)) this.#machine.removeBreakpoint(address);
  }

  removeAllOf(owner: BreakpointOwner): void {
    for (const { breakpoint } of [...this.#inserted.values()]) this.remove(owner, breakpoint);
  }

  /** Whether a breakpoint of either kind stands at an address, whoever owns it. */
  isAt(address: bigint): boolean {
    return (
      this.#at(address, BREAKPOINT_KIND.software) !== undefined ||
      this.#at(address, BREAKPOINT_KIND.hardware) !== undefined
    );
  }

  /** Whether anybody but this owner has a breakpoint at an address. */
  isAtForOthers(address: bigint, owner: BreakpointOwner): boolean {
    const owners = [
      ...(this.#at(address, BREAKPOINT_KIND.software)?.owners ?? []),
      ...(this.#at(address, BREAKPOINT_KIND.hardware)?.owners ?? []),
    ];
    return owners.some((other) => other !== owner);
  }

  /** Whether the breakpoint at an address was inserted by Z1 only. */
  isHardwareAt(address: bigint): boolean {
    return this.#at(address, BREAKPOINT_KIND.software) === undefined;
  }

  #at(address: bigint, kind: BreakpointKind): Inserted | undefined {
    return this.#inserted.get(keyOf({ kind, address, lengthBytes: 1, process: 1 }));
  }
}

function watchKind(kind: BreakpointKind): 'write' | 'read' | 'access' | undefined {
  return kind === BREAKPOINT_KIND.software || kind === BREAKPOINT_KIND.hardware
    ? undefined
    : WATCH_KINDS[kind];
}

function keyOf({ kind, address, lengthBytes }: Breakpoint): string {
  const isWatch = watchKind(kind) !== undefined;
  return `${kind}:${address.toString(16)}:${isWatch ? lengthBytes : 0}`;
}
