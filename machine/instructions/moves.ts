/**
 * MOV in its general forms, MOVZX MOVSX MOVSXD LEA XCHG XLAT BSWAP CMOVcc SETcc, sign extension of the
 * accumulator (Intel SDM 2, by name). MOV of system registers is in system-registers.ts, of segment
 * registers in segments.ts.
 */
import { CONDITION_CODES } from './condition-codes.ts';
import { defineInstruction } from './definition.ts';
import type { InstructionDefinition } from './definition.ts';
import { opcodeText } from './encoding-text.ts';
import { memoryOf } from './operand-address.ts';
import type { IntegerWidth, Operand } from './operand.ts';
import type { Operations, Value } from './operations.ts';

/** The integer of an operand's or register's width: extended with zeros, or cut. */
export function resize(o: Operations, value: Value, width: IntegerWidth): Value {
  return value.width < width ? o.zeroExtend(value, width) : o.truncate(value, width);
}

function half(width: IntegerWidth): IntegerWidth {
  return width === 64 ? 32 : width === 32 ? 16 : 8;
}

const conditionalMoves = CONDITION_CODES.map(({ suffix, reads, test }, code) =>
  defineInstruction({
    mnemonic: `cmov${suffix}`,
    encodings: [`0F ${opcodeText(0x40 + code)} /r Gv,Ev`],
    flags: { reads },
    semantics(o, destination, source) {
      const value = o.read(source);
      // Written in any case: 32 bits clear the upper half even if the condition fails.
      o.write(destination, o.select(test(o), value, o.read(destination)));
    },
  }),
);

const conditionalSets = CONDITION_CODES.map(({ suffix, reads, test }, code) =>
  defineInstruction({
    mnemonic: `set${suffix}`,
    encodings: [`0F ${opcodeText(0x90 + code)} /r Eb`],
    flags: { reads },
    semantics(o, destination) {
      o.write(destination, o.fromCondition(test(o), 8));
    },
  }),
);

function exchange(o: Operations, first: Operand, second: Operand): void {
  const left = o.read(first);
  const right = o.read(second);
  o.write(first, right);
  o.write(second, left);
}

export const MOVES: readonly InstructionDefinition[] = [
  defineInstruction({
    mnemonic: 'mov',
    encodings: [
      '88 /r Eb,Gb',
      '89 /r Ev,Gv',
      '8A /r Gb,Eb',
      '8B /r Gv,Ev',
      'A0 AL,Ob',
      'A1 rAX,Ov',
      'A2 Ob,AL',
      'A3 Ov,rAX',
      'B0+r Zb,Ib',
      'B8+r Zv,Iv',
      'C6 /0 Eb,Ib',
      'C7 /0 Ev,Izs',
    ],
    semantics(o, destination, source) {
      o.write(destination, o.read(source));
    },
  }),
  defineInstruction({
    mnemonic: 'movzx',
    encodings: ['0F B6 /r Gv,Eb', '0F B7 /r Gv,Ew'],
    semantics(o, destination, source) {
      o.write(destination, o.zeroExtend(o.read(source), o.operandWidth));
    },
  }),
  defineInstruction({
    mnemonic: 'movsx',
    encodings: ['0F BE /r Gv,Eb', '0F BF /r Gv,Ew'],
    semantics(o, destination, source) {
      o.write(destination, o.signExtend(o.read(source), o.operandWidth));
    },
  }),
  defineInstruction({
    mnemonic: 'movsxd',
    encodings: ['63 /r Gv,Ez'],
    modes: 'only64',
    semantics(o, destination, source) {
      o.write(destination, o.signExtend(o.read(source), o.operandWidth));
    },
  }),
  defineInstruction({
    mnemonic: 'lea',
    encodings: ['8D /r Gv,M'],
    semantics(o, destination, source) {
      o.write(destination, resize(o, o.effectiveAddress(memoryOf(source)), o.operandWidth));
    },
  }),
  defineInstruction({
    mnemonic: 'xchg',
    encodings: ['86 /r Eb,Gb', '87 /r Ev,Gv'],
    lock: true,
    semantics: exchange,
  }),
  defineInstruction({
    mnemonic: 'xchg',
    encodings: ['90+r Zv,rAX'],
    semantics: exchange,
  }),
  defineInstruction({
    mnemonic: 'xlat',
    encodings: ['D7'],
    semantics(o) {
      const index = o.zeroExtend(o.readRegister('rax', 8), o.addressWidth);
      const offset = o.add(o.readRegister('rbx', o.addressWidth), index);
      o.writeRegister('rax', o.load(o.linearAddress(o.segment ?? 'ds', offset), 8));
    },
  }),
  defineInstruction({
    mnemonic: 'bswap',
    encodings: ['0F C8+r Zv'],
    semantics(o, destination) {
      const value = o.read(destination);
      // Undefined for 16 bits; the CPU clears them.
      o.write(destination, value.width === 16 ? o.constant(0, 16) : o.byteSwap(value));
    },
  }),
  defineInstruction({
    // CBW, CWDE, CDQE.
    mnemonic: 'cbw',
    encodings: ['98'],
    semantics(o) {
      const value = o.readRegister('rax', half(o.operandWidth));
      o.writeRegister('rax', o.signExtend(value, o.operandWidth));
    },
  }),
  defineInstruction({
    // CWD, CDQ, CQO.
    mnemonic: 'cwd',
    encodings: ['99'],
    semantics(o) {
      const value = o.readRegister('rax', o.operandWidth);
      o.writeRegister('rdx', o.shiftRightSigned(value, o.constant(o.operandWidth - 1, 8)));
    },
  }),
  ...conditionalMoves,
  ...conditionalSets,
];
