/**
 * Where a run stands between two instructions. The number of retired instructions is not enough: the
 * delivery of an interrupt or a fault retires nothing and is a position of its own, and time that passes
 * in HLT is none of the CPU's.
 */
import type { MachineView } from '../machine-interface.ts';

/** Where something came from outside: exact enough to bring it in again at the same place. */
export interface Position {
  readonly icount: bigint;
  readonly ticks: bigint;
  readonly rip: bigint;
}

/** A position that can be told from its neighbours; time that passes in HLT makes no difference. */
export interface Place {
  readonly icount: bigint;
  /** What the CPU holds, as text to compare. */
  readonly registers: string;
}

const COMPARED = (
  'rip rflags rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 ' +
  'cs ss cr0 cr2 cr3 cr4 fs_base gs_base'
).split(' ');

export function positionOf(machine: MachineView): Position {
  const { icount, ticks } = machine;
  return { icount, ticks, rip: machine.readRegister('rip') ?? 0n };
}

export function isAtPosition(machine: MachineView, { icount, ticks, rip }: Position): boolean {
  return (
    machine.icount === icount && machine.ticks === ticks && machine.readRegister('rip') === rip
  );
}

export function placeOf(machine: MachineView): Place {
  const values = COMPARED.map((name) => (machine.readRegister(name) ?? 0n).toString(16));
  return { icount: machine.icount, registers: values.join(' ') };
}

export function isAtPlace(machine: MachineView, place: Place): boolean {
  return machine.icount === place.icount && placeOf(machine).registers === place.registers;
}
