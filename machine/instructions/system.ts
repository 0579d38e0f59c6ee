/**
 * System registers and tables, ports, processor identification and the cache and TLB instructions
 * (Intel SDM 2, by name; SDM 3A chapter 2).
 */
import { VECTOR } from '../guest-fault.ts';
import { defineInstruction } from './definition.ts';
import type { InstructionDefinition } from './definition.ts';
import type { HostOperation } from './host-operations.ts';
import { resize } from './moves.ts';
import { addressPlus, linearAddressOf } from './operand-address.ts';
import type { IntegerWidth, Operand } from './operand.ts';
import type { Operations, Value } from './operations.ts';

function wide(o: Operations, value: Value): Value {
  return o.zeroExtend(value, 64);
}

/** Writes a 64-bit value as edx:eax, which clears the upper halves. */
function writePair(o: Operations, value: Value): void {
  o.writeRegister('rax', o.truncate(value, 32));
  o.writeRegister('rdx', o.truncate(o.shiftRight(value, o.constant(32, 8)), 32));
}

function readPair(o: Operations): Value {
  return o.concatenate(o.readRegister('rdx', 32), o.readRegister('rax', 32));
}

/** ECX, by which MSRs and extended control registers are named. */
function ecx(o: Operations): Value {
  return wide(o, o.readRegister('rcx', 32));
}

function registerNumber(operand: Operand): number {
  if (operand.kind !== 'control-register' && operand.kind !== 'debug-register') {
    throw new Error(`${operand.kind} is no system register`);
  }
  return operand.register;
}

function readControlRegister(o: Operations, number: number): Value {
  return number === 8
    ? o.host('readControlRegister', o.constant(8, 64))[0]
    : o.readField(`cr${number}`);
}

const SYSTEM_REGISTER_MOVES: readonly InstructionDefinition[] = [
  defineInstruction({
    mnemonic: 'mov',
    encodings: ['0F 20 /r anymod Rn,Cn'],
    privileged: true,
    semantics(o, destination, source) {
      const value = readControlRegister(o, registerNumber(source));
      o.write(destination, resize(o, value, destination.width as IntegerWidth));
    },
  }),
  defineInstruction({
    mnemonic: 'mov',
    encodings: ['0F 22 /r anymod Cn,Rn'],
    privileged: true,
    semantics(o, destination, source) {
      const number = o.constant(registerNumber(destination), 64);
      o.hostTransfer('writeControlRegister', number, wide(o, o.read(source)));
    },
  }),
  defineInstruction({
    mnemonic: 'mov',
    encodings: ['0F 21 /r anymod Rn,Dn'],
    privileged: true,
    semantics(o, destination, source) {
      const [value] = o.host('readDebugRegister', o.constant(registerNumber(source), 64));
      o.write(destination, resize(o, value, destination.width as IntegerWidth));
    },
  }),
  defineInstruction({
    mnemonic: 'mov',
    encodings: ['0F 23 /r anymod Dn,Rn'],
    privileged: true,
    semantics(o, destination, source) {
      const number = o.constant(registerNumber(destination), 64);
      o.hostTransfer('writeDebugRegister', number, wide(o, o.read(source)));
    },
  }),
];

/** LGDT and LIDT; the width of the operand is that of the base (64 in 64-bit mode). */
function loadTable(mnemonic: 'lgdt' | 'lidt', digit: number): InstructionDefinition {
  return {
    mnemonic,
    encodings: [`0F 01 /${digit} f64 M`],
    privileged: true,
    semantics(o: Operations, source: Operand) {
      o.host(mnemonic, linearAddressOf(o, source), o.constant(o.operandWidth, 64));
    },
  };
}

function storeTable(mnemonic: 'sgdt' | 'sidt', digit: number): InstructionDefinition {
  const table = mnemonic === 'sgdt' ? 'gdtr' : 'idtr';
  return {
    mnemonic,
    encodings: [`0F 01 /${digit} f64 M`],
    semantics(o: Operations, destination: Operand) {
      const linear = linearAddressOf(o, destination);
      // 16-bit operands store 32 bits of the base too (SDM 2B, SGDT).
      const width = o.mode.codeWidth === 64 ? 64 : 32;
      const above = addressPlus(o, linear, 2);
      o.probeStore(linear, 16);
      o.probeStore(above, width);
      o.store(above, o.truncate(o.readField(`${table}Base`), width));
      o.store(linear, o.truncate(o.readField(`${table}Limit`), 16));
    },
  };
}

/** SLDT, STR, SMSW: memory gets 16 bits, a register as many as it has. */
function storeWord(mnemonic: string, opcode: string, field: string): InstructionDefinition {
  return {
    mnemonic,
    encodings: [`${opcode} Rv`, `${opcode} Mw`],
    semantics(o: Operations, destination: Operand) {
      o.write(destination, resize(o, o.readField(field), destination.width as IntegerWidth));
    },
  };
}

function loadSelector(mnemonic: 'lldt' | 'ltr', digit: number): InstructionDefinition {
  return {
    mnemonic,
    encodings: [`0F 00 /${digit} Ew`],
    privileged: true,
    semantics: (o: Operations, source: Operand) => void o.host(mnemonic, wide(o, o.read(source))),
  };
}

const TABLES: readonly InstructionDefinition[] = [
  loadTable('lgdt', 2),
  loadTable('lidt', 3),
  storeTable('sgdt', 0),
  storeTable('sidt', 1),
  storeWord('sldt', '0F 00 /0', 'ldtrSelector'),
  storeWord('str', '0F 00 /1', 'trSelector'),
  storeWord('smsw', '0F 01 /4', 'cr0'),
  loadSelector('lldt', 2),
  loadSelector('ltr', 3),
  defineInstruction({
    mnemonic: 'lmsw',
    encodings: ['0F 01 /6 Ew'],
    privileged: true,
    semantics: (o, source) => o.hostTransfer('lmsw', wide(o, o.read(source))),
  }),
];

/** Without operands, and all in the host. */
function privilegedTransfer(
  mnemonic: string,
  encoding: string,
  operation: HostOperation,
): InstructionDefinition {
  return {
    mnemonic,
    encodings: [encoding],
    privileged: true,
    semantics: (o: Operations) => o.hostTransfer(operation),
  };
}

const CONTROL: readonly InstructionDefinition[] = [
  privilegedTransfer('clts', '0F 06', 'clts'),
  privilegedTransfer('invd', '0F 08', 'invd'),
  privilegedTransfer('wbinvd', '0F 09', 'invd'),
  privilegedTransfer('hlt', 'F4', 'hlt'),
  defineInstruction({
    mnemonic: 'invlpg',
    encodings: ['0F 01 /7 Mb'],
    privileged: true,
    semantics: (o, place) => void o.host('invlpg', linearAddressOf(o, place)),
  }),
  defineInstruction({
    mnemonic: 'rdmsr',
    encodings: ['0F 32'],
    privileged: true,
    semantics: (o) => writePair(o, o.host('rdmsr', ecx(o))[0]),
  }),
  defineInstruction({
    mnemonic: 'wrmsr',
    encodings: ['0F 30'],
    privileged: true,
    semantics: (o) => o.hostTransfer('wrmsr', ecx(o), readPair(o)),
  }),
  defineInstruction({
    mnemonic: 'xgetbv',
    encodings: ['NP 0F 01 D0'],
    semantics: (o) => writePair(o, o.host('xgetbv', ecx(o))[0]),
  }),
  defineInstruction({
    mnemonic: 'xsetbv',
    encodings: ['NP 0F 01 D1'],
    privileged: true,
    semantics: (o) => void o.host('xsetbv', ecx(o), readPair(o)),
  }),
];

const IDENTIFICATION: readonly InstructionDefinition[] = [
  defineInstruction({
    mnemonic: 'cpuid',
    encodings: ['0F A2'],
    semantics(o) {
      const [low, high] = o.host('cpuid', wide(o, o.readRegister('rax', 32)), ecx(o));
      const upper = (value: Value): Value => o.truncate(o.shiftRight(value, o.constant(32, 8)), 32);
      o.writeRegister('rax', o.truncate(low, 32));
      o.writeRegister('rbx', upper(low));
      o.writeRegister('rcx', o.truncate(high, 32));
      o.writeRegister('rdx', upper(high));
    },
  }),
  defineInstruction({
    mnemonic: 'rdtsc',
    encodings: ['0F 31'],
    semantics: (o) => writePair(o, o.host('rdtsc')[0]),
  }),
  defineInstruction({
    mnemonic: 'rdtscp',
    encodings: ['0F 01 F9'],
    semantics(o) {
      const [counter, auxiliary] = o.host('rdtscp');
      writePair(o, counter);
      o.writeRegister('rcx', o.truncate(auxiliary, 32));
    },
  }),
  defineInstruction({
    // CPUID offers no performance counters, so every number is out of range.
    mnemonic: 'rdpmc',
    encodings: ['0F 33'],
    semantics: (o) => o.raise(VECTOR.GP, 0),
  }),
];

const PORTS: readonly InstructionDefinition[] = [
  defineInstruction({
    mnemonic: 'in',
    encodings: ['E4 AL,Ib', 'E5 eAX,Ib', 'EC AL,DX', 'ED eAX,DX'],
    semantics(o, destination, port) {
      const width = destination.width as IntegerWidth;
      const [value] = o.host('in', wide(o, o.read(port)), o.constant(width, 64));
      o.write(destination, o.truncate(value, width));
    },
  }),
  defineInstruction({
    mnemonic: 'out',
    encodings: ['E6 Ib,AL', 'E7 Ib,eAX', 'EE DX,AL', 'EF DX,eAX'],
    semantics(o, port, source) {
      const width = o.constant(source.width, 64);
      o.host('out', wide(o, o.read(port)), wide(o, o.read(source)), width);
    },
  }),
];

export const SYSTEM: readonly InstructionDefinition[] = [
  ...SYSTEM_REGISTER_MOVES,
  ...TABLES,
  ...CONTROL,
  ...IDENTIFICATION,
  ...PORTS,
];
