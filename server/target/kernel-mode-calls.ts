/**
 * System calls of processes that run in kernel mode, for `catch syscall`: no instruction of the CPU's
 * tells of them, so that breakpoints stand at the gate that the kernel's awareness knows. A call and
 * its return belong together by address space and rsp. Return is told at the gate's RET.
 */
import type { MachineView, SystemCallStop } from '../../machine/index.ts';
import type { KernelModeGate } from '../awareness/awareness.ts';
import type { MachineBreakpoints } from './machine-breakpoints.ts';
import { BREAKPOINT_KIND, type BreakpointOwner } from './target.ts';

export type SystemCallFilter = ReadonlySet<number> | 'all' | 'none';

/** Calls under way that are remembered; of more the oldest never return (exit). */
const MOST_OPEN_CALLS = 4096;

export class KernelModeCalls {
  readonly #machine: MachineView;
  readonly #breakpoints: MachineBreakpoints;
  readonly #gate: KernelModeGate;
  /** Numbers of calls under way, by address space and rsp. */
  readonly #open = new Map<string, number>();
  #filter: SystemCallFilter = 'none';
  /** What was answered last, and when: it may be asked again there. */
  #answer: { readonly icount: bigint; readonly stop: SystemCallStop | undefined } | undefined;

  constructor(machine: MachineView, breakpoints: MachineBreakpoints, gate: KernelModeGate) {
    this.#machine = machine;
    this.#breakpoints = breakpoints;
    this.#gate = gate;
  }

  set filter(filter: SystemCallFilter) {
    const wasOn = this.#filter !== 'none';
    this.#filter = filter;
    const isOn = filter !== 'none';
    if (wasOn === isOn) return;
    if (!isOn) this.#breakpoints.removeAllOf(this);
    else {
      this.#insert(this.#gate.entry, () => this.#entered());
      this.#insert(this.#gate.exit, () => this.#returns());
    }
  }

  /** The machine runs on: what it does unwatched is not known later. */
  beginRun(): void {
    if (this.#filter === 'none') this.reset();
  }

  reset(): void {
    this.#open.clear();
    this.#answer = undefined;
  }

  /** The call that has just stopped the machine, if one of these owners is this. */
  stoppedFor(owners: readonly BreakpointOwner[]): SystemCallStop | undefined {
    return owners.includes(this) ? this.#answer?.stop : undefined;
  }

  #insert(address: bigint, stop: () => SystemCallStop | undefined): void {
    const breakpoint = { kind: BREAKPOINT_KIND.software, address, lengthBytes: 1, process: 1 };
    this.#breakpoints.insertPredicate(this, breakpoint, () => this.#isMet(stop));
  }

  #isMet(stop: () => SystemCallStop | undefined): boolean {
    const { icount } = this.#machine;
    if (this.#answer?.icount !== icount) this.#answer = { icount, stop: stop() };
    return this.#answer.stop !== undefined;
  }

  #entered(): SystemCallStop | undefined {
    const key = this.#key();
    const number = Number(BigInt.asUintN(32, this.#machine.readRegister('rdi') ?? 0n));
    this.#open.delete(key);
    if (!this.#isWanted(number)) return undefined;
    this.#open.set(key, number);
    if (this.#open.size > MOST_OPEN_CALLS) this.#forgetOldest();
    return { phase: 'entry', number };
  }

  #returns(): SystemCallStop | undefined {
    const key = this.#key();
    const number = this.#open.get(key);
    this.#open.delete(key);
    if (number === undefined || !this.#isWanted(number)) return undefined;
    return { phase: 'return', number };
  }

  #key(): string {
    return `${this.#machine.readRegister('cr3')}:${this.#machine.readRegister('rsp')}`;
  }

  #isWanted(number: number): boolean {
    if (this.#filter === 'none') return false;
    return this.#filter === 'all' || this.#filter.has(number);
  }

  #forgetOldest(): void {
    for (const key of this.#open.keys()) {
      this.#open.delete(key);
      return;
    }
  }
}
