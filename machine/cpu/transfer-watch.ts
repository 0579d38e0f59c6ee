/**
 * What a debugger wants to hear of besides breakpoints: system calls by SYSCALL, SYSENTER, INT 0x80 and
 * call gates, their returns, and exceptions. While it wants nothing, `state.watchedTransfers` is 0 and generated code
 * enters and leaves the kernel by itself; else these transfers come by here.
 */
import type { RaisedException, SystemCallStop } from '../stop-reason.ts';
import type { CpuState } from '../state/fields.ts';

export const WATCH_SYSTEM_CALLS = 1;
export const WATCH_EXCEPTIONS = 2;
/** Ring 3 is not to be entered unseen (`MachineControl.holdCode`). */
export const WATCH_RING_3 = 4;
/** The next IRET is the CPU's own: it lets NMIs in again. */
export const WATCH_NMI_RETURN = 8;

const SYSTEM_CALL_VECTOR = 0x80;
/** Calls under way that are remembered; of more the oldest never return (exit, exec). */
const MOST_OPEN_CALLS = 4096;

/** SYSENTER tells the kernel no address: a caller's convention does, its own or the vDSO's of Linux. */
const ANYWHERE = 'anywhere';

export type SystemCallFilter = ReadonlySet<number> | 'all' | 'none';

export class TransferWatch {
  exceptions: ReadonlySet<number> = new Set();
  private filter: SystemCallFilter = 'none';
  private pending: SystemCallStop | undefined;
  /** Numbers of calls under way, by where they return to: address space, rip and rsp. */
  private readonly open = new Map<string, number>();

  set systemCalls(filter: SystemCallFilter) {
    // gdb takes its catchpoints away at every stop: calls under way are remembered until it runs.
    this.filter = typeof filter === 'string' || filter.size > 0 ? filter : 'none';
  }

  /** The value for `state.watchedTransfers` of a run that begins now. */
  beginRun(): number {
    const exceptions = this.exceptions.size > 0 ? WATCH_EXCEPTIONS : 0;
    if (this.filter !== 'none') return exceptions | WATCH_SYSTEM_CALLS;
    // Calls may now return unseen: their returns are not to be found later by chance.
    if (this.open.size > 0) this.open.clear();
    return exceptions;
  }

  /**
   * To be called before the instruction has changed anything; call the result when it has worked.
   * `anywhere`: the call returns to where the kernel likes, with the caller's rsp, as SYSENTER's do.
   */
  entering({ rip, rsp, rax, cr3 }: CpuState, returns: 'here' | 'anywhere' = 'here'): () => void {
    const key = callKey(cr3, returns === 'here' ? rip : ANYWHERE, rsp);
    const number = Number(BigInt.asUintN(32, rax));
    return () => {
      this.open.delete(key);
      if (!this.isWanted(number)) return;
      this.open.set(key, number);
      if (this.open.size > MOST_OPEN_CALLS) this.forgetOldest();
      this.pending = { phase: 'entry', number };
    };
  }

  isSystemCallVector(vector: number): boolean {
    return vector === SYSTEM_CALL_VECTOR;
  }

  /** After a return to user mode. Those from anything but a call that was seen do not count. */
  returned({ rip, rsp, cr3 }: CpuState): void {
    const here = callKey(cr3, rip, rsp);
    const key = this.open.has(here) ? here : callKey(cr3, ANYWHERE, rsp);
    const number = this.open.get(key);
    if (number === undefined) return;
    this.open.delete(key);
    if (this.isWanted(number)) this.pending = { phase: 'return', number };
  }

  /** What has happened in the present instruction. */
  takeSystemCall(): SystemCallStop | undefined {
    const { pending } = this;
    this.pending = undefined;
    return pending;
  }

  reset(): void {
    this.pending = undefined;
    this.open.clear();
  }

  isCaught({ vector }: RaisedException): boolean {
    return this.exceptions.has(vector);
  }

  private forgetOldest(): void {
    for (const key of this.open.keys()) {
      this.open.delete(key);
      return;
    }
  }

  private isWanted(number: number): boolean {
    if (this.filter === 'none') return false;
    return this.filter === 'all' || this.filter.has(number);
  }
}

function callKey(cr3: bigint, rip: bigint | typeof ANYWHERE, rsp: bigint): string {
  return `${cr3}:${rip}:${rsp}`;
}
