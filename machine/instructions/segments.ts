/**
 * Segment registers and far transfers: MOV PUSH POP of segment registers, LDS LES LSS LFS LGS, far JMP
 * CALL RET, IRET, SYSCALL SYSRET SYSENTER SYSEXIT, SWAPGS, LAR LSL VERR VERW ARPL (Intel SDM 2; the
 * checks are in SDM 3A chapter 5 and made by the CPU's host operations).
 */
import { VECTOR } from '../guest-fault.ts';
import { ARITHMETIC_FLAGS } from './arithmetic-flags.ts';
import { defineInstruction } from './definition.ts';
import type { InstructionDefinition } from './definition.ts';
import {
  returnFromHandler,
  systemCall,
  systemReturn as fastSystemReturn,
} from './fast-transfers.ts';
import { resize } from './moves.ts';
import { addressPlus, linearAddressOf } from './operand-address.ts';
import { SEGMENT_REGISTERS } from './operand.ts';
import type { IntegerWidth, Operand, SegmentRegister } from './operand.ts';
import type { HostOperation } from './host-operations.ts';
import type { Operations, Value } from './operations.ts';

function selectorOf(o: Operations, segment: SegmentRegister): Value {
  return o.readField(`${segment}Selector`);
}

function segmentOf(operand: Operand): SegmentRegister {
  if (operand.kind !== 'segment-register')
    throw new Error(`${operand.kind} is no segment register`);
  return SEGMENT_REGISTERS[operand.register]!;
}

interface SegmentLoad {
  readonly segment: SegmentRegister;
  readonly selector: Value;
  /** MOV SS and POP SS hold interrupts off for one instruction (SDM 3A §6.8.3). */
  readonly inhibits: boolean;
  /** Bytes that leave the stack when the load has succeeded. */
  readonly releasedBytes: number;
}

function segmentArguments(o: Operations, load: SegmentLoad): Value[] {
  return [
    o.constant(SEGMENT_REGISTERS.indexOf(load.segment), 64),
    o.zeroExtend(load.selector, 64),
    o.constant(load.inhibits ? 1 : 0, 64),
    o.constant(load.releasedBytes, 64),
  ];
}

/** SS decides the width of the stack, which code is specialised on. */
function loadSegment(o: Operations, selector: Value, segment: SegmentRegister, bytes = 0): void {
  const inhibits = segment === 'ss';
  const load = segmentArguments(o, { segment, selector, inhibits, releasedBytes: bytes });
  if (segment === 'ss') o.hostTransfer('loadSegment', ...load);
  else o.host('loadSegment', ...load);
}

/** Offset and selector of a far pointer, in memory or in the code. */
function farPointer(o: Operations, operand: Operand): readonly [selector: Value, offset: Value] {
  if (operand.kind === 'far') {
    return [o.constant(operand.selector, 64), o.constant(operand.offset, 64)];
  }
  const linear = linearAddressOf(o, operand);
  const offset = o.load(linear, o.operandWidth);
  const selector = o.load(addressPlus(o, linear, o.operandWidth / 8), 16);
  return [o.zeroExtend(selector, 64), o.zeroExtend(offset, 64)];
}

function operandWidth(o: Operations): Value {
  return o.constant(o.operandWidth, 64);
}

function farTransfer(
  mnemonic: string,
  operation: HostOperation,
  encodings: readonly string[],
  modes?: 'not64',
): InstructionDefinition {
  return {
    mnemonic,
    encodings,
    ...(modes === undefined ? {} : { modes }),
    semantics(o: Operations, target: Operand) {
      const [selector, offset] = farPointer(o, target);
      o.hostTransfer(operation, selector, offset, operandWidth(o));
    },
  };
}

function loadFarPointer(
  segment: SegmentRegister,
  opcode: string,
  modes?: 'not64',
): InstructionDefinition {
  return {
    mnemonic: `l${segment}`,
    encodings: [`${opcode} /r Gv,Mp`],
    ...(modes === undefined ? {} : { modes }),
    semantics(o: Operations, destination: Operand, source: Operand) {
      const [selector, offset] = farPointer(o, source);
      const load = { segment, selector, inhibits: false, releasedBytes: 0 };
      o.host('loadSegment', ...segmentArguments(o, load));
      o.write(destination, o.truncate(offset, o.operandWidth));
    },
  };
}

function pushSegment(encodings: readonly string[], modes?: 'not64'): InstructionDefinition {
  return {
    mnemonic: 'push',
    encodings,
    ...(modes === undefined ? {} : { modes }),
    semantics: (o: Operations, segment: Operand) =>
      o.push(resize(o, selectorOf(o, segmentOf(segment)), o.operandWidth)),
  };
}

function popSegment(encodings: readonly string[], modes?: 'not64'): InstructionDefinition {
  return {
    mnemonic: 'pop',
    encodings,
    ...(modes === undefined ? {} : { modes }),
    semantics(o: Operations, segment: Operand) {
      const selector = o.truncate(o.peekStack(0, o.operandWidth), 16);
      loadSegment(o, selector, segmentOf(segment), o.operandWidth / 8);
    },
  };
}

/** LAR and LSL write the register only if the selector may be looked at; ZF tells. */
function inspect(mnemonic: 'lar' | 'lsl', opcode: string): InstructionDefinition {
  return {
    mnemonic,
    encodings: [`0F ${opcode} /r Gv,Ew`],
    flags: { writes: ['ZF'] },
    semantics(o: Operations, destination: Operand, source: Operand) {
      const selector = o.zeroExtend(o.read(source), 64);
      const [value, isValid] = o.host(mnemonic, selector, operandWidth(o));
      const condition = o.negated(o.isZero(isValid));
      o.setFlag('ZF', condition);
      o.when(condition, () => o.write(destination, resize(o, value, o.operandWidth)));
    },
  };
}

function verify(mnemonic: 'verr' | 'verw', digit: number): InstructionDefinition {
  return {
    mnemonic,
    encodings: [`0F 00 /${digit} Ew`],
    flags: { writes: ['ZF'] },
    semantics(o: Operations, source: Operand) {
      const [isValid] = o.host(mnemonic, o.zeroExtend(o.read(source), 64));
      o.setFlag('ZF', o.negated(o.isZero(isValid)));
    },
  };
}

function systemReturn(mnemonic: 'sysret' | 'sysexit', encoding: string): InstructionDefinition {
  return {
    mnemonic,
    encodings: [encoding],
    flags: { writes: mnemonic === 'sysret' ? ARITHMETIC_FLAGS : [] },
    privileged: true,
    semantics(o: Operations) {
      const otherwise = (): void => o.hostTransfer(mnemonic, operandWidth(o));
      const is64 = o.mode.codeWidth === 64 && o.operandWidth === 64;
      if (mnemonic === 'sysret' && is64) fastSystemReturn(o, otherwise);
      else otherwise();
    },
  };
}

function swapGsBase(o: Operations): void {
  const active = o.readField('gsBase');
  const kernel = o.readField('kernelGsBase');
  o.writeField('gsBase', kernel);
  o.writeField('kernelGsBase', active);
}

/**
 * RPL of the first selector is raised to that of the second; ZF tells whether it was. Only then is
 * memory written, or write permission asked for: its address is made twice, because a load and a
 * store by one address become one access.
 */
function adjustRpl(o: Operations, destination: Operand, source: Operand): void {
  const isMemory = destination.kind === 'memory';
  const selector = isMemory ? o.load(linearAddressOf(o, destination), 16) : o.read(destination);
  const three = o.constant(3, 16);
  const rpl = o.and(o.read(source), three);
  const isLower = o.lessUnsigned(o.and(selector, three), rpl);
  const raised = o.or(o.and(selector, o.not(three)), rpl);
  if (isMemory) o.when(isLower, () => o.store(linearAddressOf(o, destination), raised));
  else o.write(destination, o.select(isLower, raised, selector));
  o.setFlag('ZF', isLower);
}

export const SEGMENTS: readonly InstructionDefinition[] = [
  defineInstruction({
    mnemonic: 'mov',
    encodings: ['8C /r Rv,Sw', '8C /r Mw,Sw'],
    semantics(o, destination, segment) {
      const width = destination.width as IntegerWidth;
      o.write(destination, resize(o, selectorOf(o, segmentOf(segment)), width));
    },
  }),
  defineInstruction({
    mnemonic: 'mov',
    encodings: ['8E /r Sw,Ew'],
    semantics(o, segment, source) {
      // CS is loaded by far transfers only.
      if (segmentOf(segment) === 'cs') o.raise(VECTOR.UD);
      else loadSegment(o, o.read(source), segmentOf(segment));
    },
  }),
  pushSegment(['06 ES', '0E CS', '16 SS', '1E DS'], 'not64'),
  pushSegment(['0F A0 d64 FS', '0F A8 d64 GS']),
  popSegment(['07 ES', '17 SS', '1F DS'], 'not64'),
  popSegment(['0F A1 d64 FS', '0F A9 d64 GS']),
  loadFarPointer('es', 'C4', 'not64'),
  loadFarPointer('ds', 'C5', 'not64'),
  loadFarPointer('ss', '0F B2'),
  loadFarPointer('fs', '0F B4'),
  loadFarPointer('gs', '0F B5'),
  farTransfer('jmp', 'farJump', ['FF /5 Mp']),
  farTransfer('jmp', 'farJump', ['EA Ap'], 'not64'),
  farTransfer('call', 'farCall', ['FF /3 Mp']),
  farTransfer('call', 'farCall', ['9A Ap'], 'not64'),
  defineInstruction({
    mnemonic: 'retf',
    encodings: ['CB'],
    semantics: (o) => o.hostTransfer('farReturn', operandWidth(o), o.constant(0, 64)),
  }),
  defineInstruction({
    mnemonic: 'retf',
    encodings: ['CA Iw'],
    semantics: (o, released) =>
      o.hostTransfer('farReturn', operandWidth(o), o.zeroExtend(o.read(released), 64)),
  }),
  defineInstruction({
    mnemonic: 'iret',
    encodings: ['CF'],
    flags: { writes: ARITHMETIC_FLAGS },
    semantics(o) {
      const otherwise = (): void => o.hostTransfer('iret', operandWidth(o));
      const is64 = o.mode.codeWidth === 64 && o.operandWidth === 64;
      if (is64 && o.mode.cpl === 0) returnFromHandler(o, otherwise);
      else otherwise();
    },
  }),
  defineInstruction({
    mnemonic: 'syscall',
    encodings: ['0F 05'],
    flags: { reads: ARITHMETIC_FLAGS, writes: ARITHMETIC_FLAGS },
    semantics(o) {
      const otherwise = (): void => o.hostTransfer('syscall');
      if (o.mode.codeWidth === 64) systemCall(o, otherwise);
      else otherwise();
    },
  }),
  systemReturn('sysret', '0F 07'),
  defineInstruction({
    mnemonic: 'sysenter',
    encodings: ['0F 34'],
    semantics: (o) => o.hostTransfer('sysenter'),
  }),
  systemReturn('sysexit', '0F 35'),
  defineInstruction({
    mnemonic: 'swapgs',
    encodings: ['0F 01 F8'],
    privileged: true,
    modes: 'only64',
    semantics: swapGsBase,
  }),
  inspect('lar', '02'),
  inspect('lsl', '03'),
  verify('verr', 4),
  verify('verw', 5),
  defineInstruction({
    mnemonic: 'arpl',
    encodings: ['63 /r Ew,Gw'],
    flags: { writes: ['ZF'] },
    modes: 'not64',
    semantics: adjustRpl,
  }),
];
