/**
 * The host operations (instructions/host-operations.ts says what each takes and gives): the one list
 * through which generated code reaches the rules in this folder. Arguments are in state.host0 to
 * host3, results go to host0 and host1. A fault returned has changed nothing.
 */
import type { PortWidth } from '../devices/device.ts';
import { isFault, type GuestFault } from '../guest-fault.ts';
import type { FloatOperation } from '../instructions/float-operations.ts';
import type { HostOperation } from '../instructions/host-operations.ts';
import {
  clearTaskSwitched,
  loadMachineStatus,
  readCr8,
  writeControlRegister,
} from './control-registers.ts';
import { WORD } from '../state/fields.ts';
import type { Cpu } from './cpu.ts';
import { cpuid } from './cpuid.ts';
import { readDebugRegister, writeDebugRegister } from './debug-registers.ts';
import { loadDescriptorTable } from './descriptor-tables.ts';
import { segmentName } from './descriptors.ts';
import { divideSigned, divideUnsigned, type Division } from './divide.ts';
import { enter } from './enter.ts';
import { softwareInterrupt } from './exceptions.ts';
import { extendedControlRegister } from './extended-control.ts';
import { farReturn, interruptReturn } from './far-returns.ts';
import { farCall, farJump } from './far-transfers.ts';
import { clearInterruptFlag, inhibitTraps, popFlags, setInterruptFlag } from './flag-operations.ts';
import { FLOAT_HOST_OPERATIONS } from './float/host-operations.ts';
import { fxrstor, fxsave, loadMxcsr, readX87Word, resetX87, writeX87Word } from './fxsave.ts';
import { readMsr, writeMsr } from './msr.ts';
import { portIn, portOut, stringIn, stringOut } from './port-operations.ts';
import { loadLocalTable, loadSegment, loadTaskRegister } from './segment-loads.ts';
import { accessRights, isReadable, isWritable, segmentLimit } from './segment-queries.ts';
import { releaseStack } from './stack.ts';
import { sysenter, sysexit, syscall, sysret } from './system-calls.ts';
import { readTimeStamp } from './time-stamp.ts';

/** Runs one operation; a fault it returns is the instruction's. */
export type HostFunction = (cpu: Cpu) => GuestFault | undefined;

const INTEGER_OPERATIONS: Record<Exclude<HostOperation, FloatOperation>, HostFunction> = {
  divideUnsigned: ({ state }) =>
    giveDivision(state, divideUnsigned(state.host0, state.host1, state.host2)),
  divideSigned: ({ state }) =>
    giveDivision(state, divideSigned(state.host0, state.host1, state.host2)),

  cpuid: ({ state }) => {
    const result = cpuid(state, low32(state.host0), low32(state.host1));
    state.host0 = join(result.ebx, result.eax);
    state.host1 = join(result.edx, result.ecx);
    return undefined;
  },
  rdtsc: (cpu) => give(cpu, readTimeStamp(cpu)),
  rdtscp: (cpu) => {
    cpu.state.host1 = cpu.state.tscAux;
    return give(cpu, readTimeStamp(cpu));
  },
  rdmsr: (cpu) => give(cpu, readMsr(cpu, low32(cpu.state.host0))),
  wrmsr: (cpu) => writeMsr(cpu, low32(cpu.state.host0), cpu.state.host1),

  in: (cpu) => give(cpu, portIn(cpu, port(cpu), portWidth(cpu.state.host1))),
  out: (cpu) => portOut(cpu, port(cpu), low32(cpu.state.host1), portWidth(cpu.state.host2)),
  ins: (cpu) => stringIn(cpu, portWidth(cpu.state.host0), Number(cpu.state.host1)),
  outs: (cpu) =>
    stringOut(
      cpu,
      portWidth(cpu.state.host0),
      Number(cpu.state.host1),
      segmentName(Number(cpu.state.host2)),
    ),

  readControlRegister: (cpu) => give(cpu, readCr8(cpu)),
  writeControlRegister: (cpu) =>
    writeControlRegister(cpu, Number(cpu.state.host0), cpu.state.host1),
  readDebugRegister: (cpu) => give(cpu, readDebugRegister(cpu, Number(cpu.state.host0))),
  writeDebugRegister: (cpu) => writeDebugRegister(cpu, Number(cpu.state.host0), cpu.state.host1),
  clts: (cpu) => {
    clearTaskSwitched(cpu);
    return undefined;
  },
  lmsw: (cpu) => loadMachineStatus(cpu, cpu.state.host0),
  hlt: (cpu) => {
    cpu.halted = true;
    cpu.requestExit();
    return undefined;
  },
  invlpg: (cpu) => {
    // In halves: kernels do this at every page that they take away.
    const { words } = cpu.state;
    const [low, high] = [words[WORD.host0]!, words[WORD.host0 + 1]!];
    cpu.memory.invalidateHalves(low, high);
    if (!cpu.memory.hasHugeCode && !cpu.mayChangeCode(low, high)) return undefined;
    cpu.state.mapGeneration = (cpu.state.mapGeneration + 1) >>> 0;
    cpu.requestExit();
    return undefined;
  },
  // The machine has no caches.
  invd: () => undefined,

  lgdt: (cpu) => loadDescriptorTable(cpu, 'gdtr', cpu.state.host0, Number(cpu.state.host1)),
  lidt: (cpu) => loadDescriptorTable(cpu, 'idtr', cpu.state.host0, Number(cpu.state.host1)),
  lldt: (cpu) => loadLocalTable(cpu, selector(cpu)),
  ltr: (cpu) => loadTaskRegister(cpu, selector(cpu)),
  loadSegment: (cpu) => {
    const { host0, host1, host2, host3 } = cpu.state;
    const name = segmentName(Number(host0));
    const release = Number(host3);
    const failed = loadSegment(cpu, name, Number(host1 & 0xffffn), () => {
      if (release !== 0) releaseStack(cpu, release);
    });
    if (failed !== undefined) return failed;
    if (host2 !== 0n) inhibitTraps(cpu);
    if (name === 'ss') cpu.requestExit();
    return undefined;
  },
  lar: (cpu) => giveIfValid(cpu, accessRights(cpu, selector(cpu)), cpu.state.host1),
  lsl: (cpu) => giveIfValid(cpu, segmentLimit(cpu, selector(cpu)), cpu.state.host1),
  verr: (cpu) => give(cpu, isReadable(cpu, selector(cpu))),
  verw: (cpu) => give(cpu, isWritable(cpu, selector(cpu))),

  popf: (cpu) => {
    popFlags(cpu, low32(cpu.state.host0), Number(cpu.state.host1));
    releaseStack(cpu, Number(cpu.state.host2));
    return undefined;
  },
  cli: clearInterruptFlag,
  sti: setInterruptFlag,

  farJump: (cpu) => {
    const { host1, host2 } = cpu.state;
    return farJump(cpu, selector(cpu), BigInt.asUintN(Number(host2), host1));
  },
  farCall: (cpu) => {
    const width = Number(cpu.state.host2);
    const target = BigInt.asUintN(width, cpu.state.host1);
    return callingGate(cpu, () => farCall(cpu, selector(cpu), target, width));
  },
  farReturn: (cpu) =>
    leaving(cpu, farReturn(cpu, Number(cpu.state.host0), Number(cpu.state.host1))),
  iret: (cpu) => leaving(cpu, interruptReturn(cpu, Number(cpu.state.host0))),
  softwareInterrupt(cpu) {
    const vector = Number(cpu.state.host0);
    const enter = (): GuestFault | undefined =>
      softwareInterrupt(cpu, vector, cpu.state.host1 !== 0n);
    return cpu.watch.isSystemCallVector(vector) ? entering(cpu, enter) : enter();
  },
  syscall: (cpu) => entering(cpu, () => syscall(cpu)),
  sysret: (cpu) => leaving(cpu, sysret(cpu, Number(cpu.state.host0))),
  sysenter: (cpu) => entering(cpu, () => sysenter(cpu), 'anywhere'),
  sysexit: (cpu) => leaving(cpu, sysexit(cpu, Number(cpu.state.host0))),

  fxsave: (cpu) => fxsave(cpu, cpu.state.host0),
  fxrstor: (cpu) => fxrstor(cpu, cpu.state.host0),
  ldmxcsr: ({ state }) => loadMxcsr(state, low32(state.host0)),
  enter: (cpu) => {
    const { host0, host1, host2 } = cpu.state;
    return enter(cpu, Number(host0), Number(host1 & 31n), Number(host2));
  },
  xgetbv: () => extendedControlRegister(),
  xsetbv: () => extendedControlRegister(),
  x87Reset: ({ state }) => {
    resetX87(state);
    return undefined;
  },
  x87ReadWord: (cpu) => give(cpu, readX87Word(cpu.state, Number(cpu.state.host0))),
  x87WriteWord: ({ state }) => {
    writeX87Word(state, Number(state.host0), Number(state.host1 & 0xffffn));
    return undefined;
  },
};

/** Every operation that generated code can ask for. */
export const HOST_FUNCTIONS: Readonly<Record<HostOperation, HostFunction>> = {
  ...INTEGER_OPERATIONS,
  ...floatFunctions(),
};

function floatFunctions(): Record<FloatOperation, HostFunction> {
  const entries = Object.entries(FLOAT_HOST_OPERATIONS).map(([name, operation]) => [
    name,
    (cpu: Cpu) => operation(cpu.state),
  ]);
  return Object.fromEntries(entries) as Record<FloatOperation, HostFunction>;
}

/** Passes a fault on, or puts the value into host0. */
function give(
  { state }: Cpu,
  value: bigint | number | boolean | GuestFault,
): GuestFault | undefined {
  if (isFault(value)) return value;
  state.host0 = BigInt(value);
  return undefined;
}

function giveDivision(
  state: Cpu['state'],
  division: Division | GuestFault,
): GuestFault | undefined {
  if (isFault(division)) return division;
  state.host0 = division.quotient;
  state.host1 = division.remainder;
  return undefined;
}

/** LAR and LSL: the value cut to the operand width in host0, and in host1 whether it is valid. */
function giveIfValid(
  { state }: Cpu,
  value: number | undefined | GuestFault,
  width: bigint,
): GuestFault | undefined {
  if (isFault(value)) return value;
  state.host0 = BigInt.asUintN(Number(width), BigInt((value ?? 0) >>> 0));
  state.host1 = value === undefined ? 0n : 1n;
  return undefined;
}

function low32(value: bigint): number {
  return Number(value & 0xffff_ffffn);
}

function join(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

function port({ state }: Cpu): number {
  return Number(state.host0 & 0xffffn);
}

function selector({ state }: Cpu): number {
  return Number(state.host0 & 0xffffn);
}

function portWidth(width: bigint): PortWidth {
  return width === 8n ? 8 : width === 16n ? 16 : 32;
}

/** A way into the kernel that may be a system call; `isCall` is asked when it has worked. */
function entering(
  cpu: Cpu,
  enter: () => GuestFault | undefined,
  returns: 'here' | 'anywhere' = 'here',
  isCall = (): boolean => true,
): GuestFault | undefined {
  if (cpu.state.watchedTransfers === 0) return enter();
  const entered = cpu.watch.entering(cpu.state, returns);
  const failed = enter();
  if (failed !== undefined || !isCall()) return failed;
  entered();
  cpu.requestExit();
  return undefined;
}

/** A far call, which is a way into the kernel where it has gone through a gate. */
function callingGate(cpu: Cpu, call: () => GuestFault | undefined): GuestFault | undefined {
  const { cpl } = cpu.state;
  return entering(cpu, call, 'here', () => cpu.state.cpl < cpl);
}

/** A way out of it that has worked, or the fault that it has met. */
function leaving(cpu: Cpu, failed: GuestFault | undefined): GuestFault | undefined {
  if (failed !== undefined || cpu.state.watchedTransfers === 0) return failed;
  cpu.watch.returned(cpu.state);
  cpu.requestExit();
  return undefined;
}
