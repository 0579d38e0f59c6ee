/** A CPU in 64-bit mode with a GDT, an IDT, a TSS and stacks, and no engine. */
import { Cpu } from '../../../machine/cpu/cpu.ts';
import { readDescriptor, setSegment } from '../../../machine/cpu/descriptors.ts';
import { HOST_FUNCTIONS } from '../../../machine/cpu/host-operations.ts';
import { flatCode, flatData } from '../../../machine/cpu/segment-attributes.ts';
import { isFault, type GuestFault } from '../../../machine/guest-fault.ts';
import type { HostOperation } from '../../../machine/instructions/host-operations.ts';
import {
  CR0_PG,
  FourLevelTables,
  PRESENT,
  USER,
  WRITABLE,
  makeMemory,
  type MemoryFixture,
} from '../memory/memory-fixture.ts';

export const GDT = 0x1000;
export const IDT = 0x2000;
export const TSS = 0x4000;
export const KERNEL_STACK = 0x8000n;
export const RSP0 = 0xa000n;
export const IST1 = 0xc000n;
export const USER_STACK = 0x7000_1000n;
export const KERNEL_RIP = 0x1_2345n;
export const USER_RIP = 0x40_1000n;
export const HANDLER = 0x5_0000n;

export const SELECTOR = {
  kernelCode: 0x08,
  kernelData: 0x10,
  userCode32: 0x18 | 3,
  userData: 0x20 | 3,
  userCode: 0x28 | 3,
  tss: 0x30,
  absentCode: 0x40,
  kernelCode32: 0x48,
  conformingCode: 0x50,
  readOnlyData: 0x58,
  ldt: 0x60,
  executeOnly: 0x70,
  absentData: 0x78,
} as const;

/** An 8-byte descriptor; `flags` are AVL L D/B G as bits 0–3. */
export function descriptor(base: number, limit: number, access: number, flags: number): bigint {
  const low = ((base & 0xffff) * 0x1_0000 + (limit & 0xffff)) >>> 0;
  const high =
    ((base & 0xff00_0000) |
      ((base >>> 16) & 0xff) |
      (access << 8) |
      (limit & 0xf_0000) |
      (flags << 20)) >>>
    0;
  return (BigInt(high) << 32n) | BigInt(low);
}

const LONG = 0b1010;
const FLAT32 = 0b1100;

export interface CpuFixture extends MemoryFixture {
  readonly cpu: Cpu;
  readonly tables: FourLevelTables;
  readonly portLog: string[];
  /** What the interrupt controller says. */
  readonly interrupts: { pending: boolean };
  readonly clock: { ticks: bigint };
  /** Sets an IDT entry. */
  gate(vector: number, gate: Partial<GateFields>): void;
  /** Calls a host operation with its arguments. */
  callOperation(operation: HostOperation, ...argument: bigint[]): GuestFault | undefined;
  /** Code of CPL 3 at USER_RIP with its stack at USER_STACK. */
  enterUser(): void;
  /** Quadwords from rsp upwards. */
  stackWords(count: number): bigint[];
}

interface GateFields {
  readonly offset: bigint;
  readonly selector: number;
  readonly type: number;
  readonly dpl: number;
  readonly present: boolean;
  readonly ist: number;
}

export function makeCpu(): CpuFixture {
  const fixture = makeMemory();
  const { state } = fixture;
  const tables = new FourLevelTables(fixture);
  tables.map(0n, 0n, PRESENT | WRITABLE, 2);
  tables.map(0x20_0000n, 0x20_0000n, PRESENT | WRITABLE, 2);
  tables.map(USER_STACK - 0x1000n, 0x30_0000n, PRESENT | WRITABLE | USER);
  const portLog: string[] = [];
  const interrupts = { pending: false };
  const clock = { ticks: 0n };
  const cpu = new Cpu({
    state,
    memory: fixture.memory,
    ports: {
      read: (port, width) => {
        portLog.push(`in ${port.toString(16)}/${width}`);
        return 0x5a;
      },
      write: (port, value, width) =>
        void portLog.push(`out ${port.toString(16)}/${width} ${value.toString(16)}`),
    },
    interrupts: { hasInterrupt: () => interrupts.pending, acknowledge: () => 0x20 },
    clock: { now: () => clock.ticks, schedule: () => undefined, cancel: () => undefined },
    note: (text) => fixture.notes.push(text),
  });
  writeTables(fixture);
  bootRegisters(cpu);
  return {
    ...fixture,
    cpu,
    tables,
    portLog,
    interrupts,
    clock,
    gate: (vector, fields) => writeGate(fixture, vector, fields),
    callOperation: (operation, ...argument) => callHost(cpu, operation, argument),
    enterUser: () => enterUser(cpu),
    stackWords: (count) =>
      Array.from({ length: count }, (_, index) => {
        const physical = fixture.memory.debug.translate(state.rsp + BigInt(index * 8));
        return physical === undefined ? -1n : fixture.read64(Number(physical));
      }),
  };
}

function writeTables({ write64 }: MemoryFixture): void {
  const entries: [number, bigint][] = [
    [SELECTOR.kernelCode, descriptor(0, 0xfffff, 0x9b, LONG)],
    [SELECTOR.kernelData, descriptor(0, 0xfffff, 0x93, FLAT32)],
    [SELECTOR.userCode32, descriptor(0, 0xfffff, 0xfb, FLAT32)],
    [SELECTOR.userData, descriptor(0, 0xfffff, 0xf3, FLAT32)],
    [SELECTOR.userCode, descriptor(0, 0xfffff, 0xfb, LONG)],
    [SELECTOR.tss, descriptor(TSS, 0x67, 0x89, 0)],
    [SELECTOR.absentCode, descriptor(0, 0xfffff, 0x1b, LONG)],
    [SELECTOR.kernelCode32, descriptor(0, 0xfffff, 0x9b, FLAT32)],
    [SELECTOR.conformingCode, descriptor(0, 0xfffff, 0x9f, LONG)],
    [SELECTOR.readOnlyData, descriptor(0x1234_5678, 0x777, 0x90, 0b0100)],
    [SELECTOR.ldt, descriptor(0x6000, 0xf, 0x82, 0)],
    [SELECTOR.executeOnly, descriptor(0, 0xfffff, 0x99, LONG)],
    [SELECTOR.absentData, descriptor(0, 0xfffff, 0x13, FLAT32)],
  ];
  for (const [selector, value] of entries) write64(GDT + (selector & ~7), value);
  // An LDT with one user data segment, selector 4.
  write64(0x6000, descriptor(0x9000_0000, 0xfff, 0xf2, 0b0100));
  write64(TSS + 4, RSP0);
  write64(TSS + 36, IST1);
}

function bootRegisters({ state, memory }: Cpu): void {
  state.gdtrBase = BigInt(GDT);
  state.gdtrLimit = 0x7f;
  state.idtrBase = BigInt(IDT);
  state.idtrLimit = 0xfff;
  state.trSelector = SELECTOR.tss;
  state.trBase = BigInt(TSS);
  state.trLimit = 0x67;
  state.trAttributes = 0x8b;
  setFlat(state, 'cs', SELECTOR.kernelCode, flatCode(0, true));
  for (const name of ['es', 'ss', 'ds', 'fs', 'gs'] as const) {
    setFlat(state, name, SELECTOR.kernelData, flatData(0));
  }
  state.apicBase = 0xfee0_0900n;
  state.rip = KERNEL_RIP;
  state.rsp = KERNEL_STACK;
  state.flagZero = 1n;
  state.flagSign = 1n;
  state.cpl = 0;
  memory.updateTlbContext();
}

type Flat = 'es' | 'cs' | 'ss' | 'ds' | 'fs' | 'gs';

function setFlat(state: Cpu['state'], name: Flat, selector: number, attributes: number): void {
  state[`${name}Selector`] = selector;
  state[`${name}Base`] = 0n;
  state[`${name}Limit`] = 0xffff_ffff;
  state[`${name}Attributes`] = attributes;
}

function enterUser(cpu: Cpu): void {
  const { state } = cpu;
  setFlat(state, 'cs', SELECTOR.userCode, flatCode(3, true));
  setFlat(state, 'ss', SELECTOR.userData, flatData(3));
  state.rip = USER_RIP;
  state.rsp = USER_STACK;
  cpu.setPrivilegeLevel(3);
}

function writeGate({ write64 }: MemoryFixture, vector: number, fields: Partial<GateFields>): void {
  const { offset, selector, type, dpl, present, ist } = {
    offset: HANDLER + BigInt(vector),
    selector: SELECTOR.kernelCode,
    type: 14,
    dpl: 0,
    present: true,
    ist: 0,
    ...fields,
  };
  const attributes = BigInt(type | (dpl << 5) | (present ? 0x80 : 0));
  const low =
    (offset & 0xffffn) |
    (BigInt(selector) << 16n) |
    (BigInt(ist) << 32n) |
    (attributes << 40n) |
    (((offset >> 16n) & 0xffffn) << 48n);
  write64(IDT + vector * 16, low);
  write64(IDT + vector * 16 + 8, offset >> 32n);
}

function callHost(
  cpu: Cpu,
  operation: HostOperation,
  argument: readonly bigint[],
): GuestFault | undefined {
  const [host0 = 0n, host1 = 0n, host2 = 0n, host3 = 0n] = argument;
  Object.assign(cpu.state, { host0, host1, host2, host3 });
  return HOST_FUNCTIONS[operation](cpu);
}

/** 32-bit protected mode without paging, as a boot loader leaves it, over the same GDT. */
export function leaveLongMode({ cpu, state }: CpuFixture): void {
  state.cr0 &= ~CR0_PG;
  state.efer = 0n;
  const code = readDescriptor(cpu, SELECTOR.kernelCode32);
  if (isFault(code)) throw new Error('the fixture has no 32-bit code segment');
  setSegment(cpu, 'cs', {
    selector: SELECTOR.kernelCode32,
    base: 0,
    limit: code.limit,
    attributes: code.attributes,
  });
  cpu.mappingChanged();
}

/** `#13(8)`, `#14(2)@7fff…`, or `none`. */
export function faultText(raised: GuestFault | undefined): string {
  if (raised === undefined) return 'none';
  const code = raised.errorCode === undefined ? '' : `(${raised.errorCode})`;
  const at = raised.address === undefined ? '' : `@${raised.address.toString(16)}`;
  return `#${raised.vector}${code}${at}`;
}
