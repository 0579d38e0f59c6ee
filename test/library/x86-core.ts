/**
 * gdb's smallest description of an x86 CPU: the feature org.gnu.gdb.i386.core and nothing else. gdb
 * insists on every register of it, the x87 ones too; an emulator that lacks some sends them as unknown.
 */

export interface CoreRegister {
  readonly name: string;
  readonly bits: 32 | 64 | 80;
  /** Where it lies in the `g` block. */
  readonly offset: number;
}

const NAMES = {
  32: 'eax ecx edx ebx esp ebp esi edi eip',
  64: 'rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip',
} as const;
const FLAGS_AND_SEGMENTS = 'eflags cs ss ds es fs gs';
const X87_CONTROL = 'fctrl fstat ftag fiseg fioff foseg fooff fop';

const POINTERS: Readonly<Record<string, string>> = {
  ip: 'code_ptr',
  sp: 'data_ptr',
  bp: 'data_ptr',
};

/** The registers in gdb's order; the index is gdb's number. */
export function coreRegisters(bits: 32 | 64): readonly CoreRegister[] {
  const widths = new Map<string, CoreRegister['bits']>();
  for (const name of NAMES[bits].split(' ')) widths.set(name, bits);
  for (const name of FLAGS_AND_SEGMENTS.split(' ')) widths.set(name, 32);
  for (let index = 0; index < 8; index++) widths.set(`st${index}`, 80);
  for (const name of X87_CONTROL.split(' ')) widths.set(name, 32);
  let offset = 0;
  return [...widths].map(([name, width]) => {
    const register = { name, bits: width, offset };
    offset += width / 8;
    return register;
  });
}

/** `target.xml` for these registers. */
export function coreDescription(bits: 32 | 64): string {
  const architecture = bits === 64 ? 'i386:x86-64' : 'i386';
  const registers = coreRegisters(bits).map(({ name, bits: width }) => {
    const type = width === 80 ? 'i387_ext' : (POINTERS[name.slice(1)] ?? `int${width}`);
    return `<reg name="${name}" bitsize="${width}" type="${type}"/>`;
  });
  return [
    '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd">',
    `<target version="1.0"><architecture>${architecture}</architecture>`,
    '<feature name="org.gnu.gdb.i386.core">',
    ...registers,
    '</feature></target>',
  ].join('\n');
}
