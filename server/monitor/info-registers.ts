/**
 * `info registers` in the format of QEMU's monitor (target/i386/cpu-dump.c, 7.2), which pwndbg and
 * GEF parse for CR3 and segment bases. Always of the CPU, not of the selected thread.
 */
import type { MachineView } from '../../machine/index.ts';
import { fromLittleEndian } from '../target/register-table.ts';
import { hex8, hex16 } from './format.ts';
import { defineMonitorCommand, expectArguments } from './monitor-command.ts';

export const infoRegistersCommand = defineMonitorCommand({
  name: 'info registers',
  syntax: 'info registers',
  access: 'look',
  summary: "the CPU's registers, as QEMU prints them",
  help: 'Always the registers of the CPU, whatever thread is selected. The format is that of QEMU.',
  sample: [
    'CPU#0',
    'RAX=0000000000000000 RBX=ffffffff801016fe RCX=0000000000000000 RDX=ffff80000013f810',
    '…',
    'CR0=8001003b CR2=0000007fffffef18 CR3=0000000000140000 CR4=000006a0',
  ].join('\n'),
  run({ machine }, args) {
    expectArguments(this, args, 0);
    return `\nCPU#0\n${describeCpu(machine)}`;
  },
});

type Read = (name: string) => bigint;

const EFER_LMA = 1n << 10n;
/** Attribute bits as the machine keeps them: descriptor bits 40–55 from bit 0 (SDM 3A §3.4.5). */
const ATTRIBUTE = { accessed: 1n, writable: 2n, conforming: 4n, code: 8n, system: 0x10n } as const;
const ATTRIBUTE_PRESENT = 0x80n;
const ATTRIBUTE_LONG = 0x2000n;
const ATTRIBUTE_BIG = 0x4000n;
const ATTRIBUTE_GRANULAR = 0x8000n;

function describeCpu(machine: MachineView): string {
  const read: Read = (name) => machine.readRegister(name) ?? 0n;
  const isLongCode = isLongModeCode(read);
  return [
    ...(isLongCode ? general64(read) : general32(read)),
    ...['es', 'cs', 'ss', 'ds', 'fs', 'gs'].map((name) => segment(read, name, isLongCode)),
    systemSegment(read, 'ldt', 'ldtr', isLongCode),
    systemSegment(read, 'tr', 'tr', isLongCode),
    ...tablesAndControl(read),
    ...debugRegisters(read),
    `EFER=${hex16(read('efer'))}`,
    ...floatingPoint(machine),
    ...vectors(machine, isLongCode ? 16 : 8),
  ].join('\n');
}

function isLongModeCode(read: Read): boolean {
  return (read('efer') & EFER_LMA) !== 0n && (read('cs_attributes') & ATTRIBUTE_LONG) !== 0n;
}

function general64(read: Read): string[] {
  const row = (names: readonly string[]): string =>
    names.map((name) => `${name.toUpperCase().padEnd(3)}=${hex16(read(name))}`).join(' ');
  return [
    row(['rax', 'rbx', 'rcx', 'rdx']),
    row(['rsi', 'rdi', 'rbp', 'rsp']),
    row(['r8', 'r9', 'r10', 'r11']),
    row(['r12', 'r13', 'r14', 'r15']),
    `RIP=${hex16(read('rip'))} RFL=${hex8(read('rflags'))} ${modeText(read)}`,
  ];
}

function general32(read: Read): string[] {
  const low = (name: string): string => hex8(read(name) & 0xffff_ffffn);
  const row = (names: readonly string[]): string =>
    names.map((name) => `E${name.slice(1).toUpperCase()}=${low(name)}`).join(' ');
  return [
    row(['rax', 'rbx', 'rcx', 'rdx']),
    row(['rsi', 'rdi', 'rbp', 'rsp']),
    `EIP=${low('rip')} EFL=${low('rflags')} ${modeText(read)}`,
  ];
}

const FLAG_LETTERS: readonly (readonly [string, bigint])[] = [
  ['D', 10n],
  ['O', 11n],
  ['S', 7n],
  ['Z', 6n],
  ['A', 4n],
  ['P', 2n],
  ['C', 0n],
];

/** II (interrupts inhibited) and HLT are not visible through the machine's interface: 0. */
function modeText(read: Read): string {
  const rflags = read('rflags');
  const flags = FLAG_LETTERS.map(([letter, bit]) => (((rflags >> bit) & 1n) === 1n ? letter : '-'));
  return `[${flags.join('')}] CPL=${read('cpl')} II=0 A20=1 SMM=0 HLT=0`;
}

function segmentFields(read: Read, label: string, name: string, isLongCode: boolean): string {
  const base = read(`${name}_base`);
  const selector = read(name).toString(16).padStart(4, '0');
  const baseText = isLongCode ? hex16(base) : hex8(base & 0xffff_ffffn);
  const limit = read(`${name}_limit`);
  return `${label.padEnd(3)}=${selector} ${baseText} ${hex8(limit)} ${hex8(flagsOf(read, name))}`;
}

/** The upper half of the descriptor as QEMU keeps it: with bits 16–19 of the unscaled limit. */
function flagsOf(read: Read, name: string): bigint {
  const attributes = read(`${name}_attributes`);
  const isScaled = (attributes & ATTRIBUTE_GRANULAR) !== 0n;
  const limitBits = (read(`${name}_limit`) >> (isScaled ? 28n : 16n)) & 0xfn;
  return (attributes << 8n) | (limitBits << 16n);
}

/** In real mode and for segments that are not present QEMU says no more than the numbers. */
function isExplained(read: Read, attributes: bigint): boolean {
  return (read('cr0') & 1n) === 1n && (attributes & ATTRIBUTE_PRESENT) !== 0n;
}

function segment(read: Read, name: string, isLongCode: boolean): string {
  const fields = segmentFields(read, name.toUpperCase(), name, isLongCode);
  const attributes = read(`${name}_attributes`);
  if (!isExplained(read, attributes)) return fields;
  const letter = (bit: bigint, text: string): string => ((attributes & bit) === 0n ? '-' : text);
  const isCode = (attributes & ATTRIBUTE.code) !== 0n;
  const middle = isCode
    ? letter(ATTRIBUTE.conforming, 'C') + letter(ATTRIBUTE.writable, 'R')
    : letter(ATTRIBUTE.conforming, 'E') + letter(ATTRIBUTE.writable, 'W');
  const kind = isCode ? codeKind(attributes) : dataKind(read, attributes);
  const level = (attributes >> 5n) & 3n;
  return `${fields} DPL=${level} ${kind} [${middle}${letter(ATTRIBUTE.accessed, 'A')}]`;
}

function codeKind(attributes: bigint): string {
  if ((attributes & ATTRIBUTE_LONG) !== 0n) return 'CS64';
  return (attributes & ATTRIBUTE_BIG) !== 0n ? 'CS32' : 'CS16';
}

function dataKind(read: Read, attributes: bigint): string {
  const isWide = (attributes & ATTRIBUTE_BIG) !== 0n || (read('efer') & EFER_LMA) !== 0n;
  return isWide ? 'DS  ' : 'DS16';
}

/** System descriptor types (Intel SDM 3A table 3-2), in QEMU's words. */
const SYSTEM_TYPES_32 = (
  'Reserved TSS16-avl LDT TSS16-busy CallGate16 TaskGate IntGate16 TrapGate16 ' +
  'Reserved TSS32-avl Reserved TSS32-busy CallGate32 Reserved IntGate32 TrapGate32'
).split(' ');
const SYSTEM_TYPES_64 = (
  '<hiword> Reserved LDT Reserved Reserved Reserved Reserved Reserved ' +
  'Reserved TSS64-avl Reserved TSS64-busy CallGate64 Reserved IntGate64 TrapGate64'
).split(' ');

function systemSegment(read: Read, label: string, name: string, isLongCode: boolean): string {
  const fields = segmentFields(read, label.toUpperCase(), name, isLongCode);
  const attributes = read(`${name}_attributes`);
  if (!isExplained(read, attributes)) return fields;
  const types = (read('efer') & EFER_LMA) === 0n ? SYSTEM_TYPES_32 : SYSTEM_TYPES_64;
  return `${fields} DPL=${(attributes >> 5n) & 3n} ${types[Number(attributes & 15n)]!}`;
}

function tablesAndControl(read: Read): string[] {
  const isLong = (read('efer') & EFER_LMA) !== 0n;
  const wide = (value: bigint): string => (isLong ? hex16(value) : hex8(value & 0xffff_ffffn));
  const table = (label: string, name: string): string =>
    `${label}=     ${wide(read(`${name}_base`))} ${hex8(read(`${name}_limit`))}`;
  return [
    table('GDT', 'gdtr'),
    table('IDT', 'idtr'),
    `CR0=${hex8(read('cr0'))} CR2=${wide(read('cr2'))} CR3=${wide(read('cr3'))} ` +
      `CR4=${hex8(read('cr4'))}`,
  ];
}

function debugRegisters(read: Read): string[] {
  const addresses = [0, 1, 2, 3].map((index) => `DR${index}=${hex16(read(`dr${index}`))} `);
  return [addresses.join(''), `DR6=${hex16(read('dr6'))} DR7=${hex16(read('dr7'))}`];
}

function floatingPoint(machine: MachineView): string[] {
  const area = machine.readFxsave();
  const word = (offset: number): number => area[offset]! | (area[offset + 1]! << 8);
  const status = word(2);
  const top = (status >> 11) & 7;
  const fourDigits = (value: number): string => value.toString(16).padStart(4, '0');
  const register = (index: number): string => {
    const start = 32 + index * 16;
    const fraction = fromLittleEndian(area.subarray(start, start + 8));
    return `FPR${index}=${hex16(fraction)} ${fourDigits(word(start + 8))}`;
  };
  const rows = [0, 2, 4, 6].map((index) => `${register(index)} ${register(index + 1)}`);
  const control = `FCW=${fourDigits(word(0))} FSW=${fourDigits(status)} [ST=${top}]`;
  const tags = area[4]!.toString(16).padStart(2, '0');
  const mxcsr = hex8(machine.readRegister('mxcsr') ?? 0n);
  return [`${control} FTW=${tags} MXCSR=${mxcsr}`, ...rows];
}

function vectors(machine: MachineView, count: number): string[] {
  const register = (index: number): string => {
    const bytes = machine.readVector(index);
    const high = hex16(fromLittleEndian(bytes.subarray(8, 16)));
    const low = hex16(fromLittleEndian(bytes.subarray(0, 8)));
    return `XMM${`${index}`.padStart(2, '0')}=${high} ${low}`;
  };
  return Array.from(
    { length: count / 2 },
    (_, row) => `${register(row * 2)} ${register(row * 2 + 1)}`,
  );
}
