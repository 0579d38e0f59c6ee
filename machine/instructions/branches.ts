/**
 * Near control transfers: JMP CALL RET Jcc LOOPcc JrCXZ, and the software interrupts and undefined
 * instructions (Intel SDM 2, by name). Far ones are in segments.ts.
 */
import { VECTOR } from '../guest-fault.ts';
import { CONDITION_CODES } from './condition-codes.ts';
import { defineInstruction } from './definition.ts';
import type { InstructionDefinition } from './definition.ts';
import { opcodeText } from './encoding-text.ts';
import { enterHandler } from './fast-transfers.ts';
import type { Operand } from './operand.ts';
import type { Condition, Operations, Value } from './operations.ts';

/** Bits of a linear address that 4-level paging translates (SDM 1 §3.3.7.1). */
const CANONICAL_BITS = 48;

/** The target of a near indirect transfer as 64 bits; #GP(0) if it is not canonical. */
function checkedTarget(o: Operations, target: Value): Value {
  if (target.width < 64) return o.zeroExtend(target, 64);
  const unused = o.constant(64 - CANONICAL_BITS, 8);
  const canonical = o.shiftRightSigned(o.shiftLeft(target, unused), unused);
  o.raiseIf(o.notEqual(target, canonical), VECTOR.GP, 0);
  return target;
}

function returnAddress(o: Operations): Value {
  return o.truncate(o.nextRip(), o.operandWidth);
}

/** `released` bytes of arguments go with the return address. */
function returnNear(o: Operations, released: Value | number): void {
  const target = checkedTarget(o, o.peekStack(0, o.operandWidth));
  const own = o.operandWidth / 8;
  const bytes =
    typeof released === 'number' ? own + released : o.add(released, o.constant(own, 64));
  o.moveStackPointer(bytes);
  o.jump(target);
}

const conditionalJumps = CONDITION_CODES.map(({ suffix, reads, test }, code) =>
  defineInstruction({
    mnemonic: `j${suffix}`,
    encodings: [`${opcodeText(0x70 + code)} f64 Jb`, `0F ${opcodeText(0x80 + code)} f64 Jz`],
    flags: { reads },
    semantics: (o, target) => o.branchIf(test(o), target),
  }),
);

/** rCX, of the address width, counts down; no flag changes. */
function loop(
  mnemonic: string,
  opcode: string,
  and?: (o: Operations) => Condition,
): InstructionDefinition {
  return {
    mnemonic,
    encodings: [`${opcode} f64 Jb`],
    flags: { reads: and === undefined ? [] : ['ZF'] },
    semantics(o: Operations, target: Operand) {
      const count = o.readRegister('rcx', o.addressWidth);
      const left = o.subtract(count, o.constant(1, count.width));
      const goesOn = o.negated(o.isZero(left));
      const condition = and === undefined ? goesOn : o.both(goesOn, and(o));
      o.writeRegister('rcx', left);
      o.branchIf(condition, target);
    },
  };
}

function undefinedInstruction(mnemonic: string, encoding: string): InstructionDefinition {
  return { mnemonic, encodings: [encoding], semantics: (o: Operations) => o.raise(VECTOR.UD) };
}

function interrupt(o: Operations, vector: Value | number, isInt1 = false): void {
  const number = typeof vector === 'number' ? o.constant(vector, 64) : o.zeroExtend(vector, 64);
  const otherwise = (): void =>
    o.hostTransfer('softwareInterrupt', number, o.constant(isInt1 ? 1 : 0, 64));
  if (o.mode.codeWidth !== 64 || isInt1) otherwise();
  else {
    enterHandler(o, { vector: number, returnRip: o.nextRip(), isSoftware: true }, otherwise);
  }
}

export const BRANCHES: readonly InstructionDefinition[] = [
  ...conditionalJumps,
  loop('loopne', 'E0', (o) => o.negated(o.flag('ZF'))),
  loop('loope', 'E1', (o) => o.flag('ZF')),
  loop('loop', 'E2'),
  defineInstruction({
    // JCXZ, JECXZ, JRCXZ by address size.
    mnemonic: 'jrcxz',
    encodings: ['E3 f64 Jb'],
    semantics: (o, target) => o.branchIf(o.isZero(o.readRegister('rcx', o.addressWidth)), target),
  }),
  defineInstruction({
    mnemonic: 'jmp',
    encodings: ['EB f64 Jb', 'E9 f64 Jz'],
    semantics: (o, target) => o.jumpRelative(target),
  }),
  defineInstruction({
    mnemonic: 'jmp',
    encodings: ['FF /4 f64 Ev'],
    semantics: (o, target) => o.jump(checkedTarget(o, o.read(target))),
  }),
  defineInstruction({
    mnemonic: 'call',
    encodings: ['E8 f64 Jz'],
    semantics(o, target) {
      o.push(returnAddress(o));
      o.jumpRelative(target);
    },
  }),
  defineInstruction({
    mnemonic: 'call',
    encodings: ['FF /2 f64 Ev'],
    semantics(o, target) {
      const offset = checkedTarget(o, o.read(target));
      o.push(returnAddress(o));
      o.jump(offset);
    },
  }),
  defineInstruction({
    mnemonic: 'ret',
    encodings: ['C3 f64'],
    semantics: (o) => returnNear(o, 0),
  }),
  defineInstruction({
    mnemonic: 'ret',
    encodings: ['C2 f64 Iw'],
    semantics: (o, released) => returnNear(o, o.zeroExtend(o.read(released), 64)),
  }),
  defineInstruction({
    mnemonic: 'int',
    encodings: ['CD Ib'],
    semantics: (o, vector) => interrupt(o, o.read(vector)),
  }),
  defineInstruction({
    mnemonic: 'int3',
    encodings: ['CC'],
    semantics: (o) => interrupt(o, VECTOR.BP),
  }),
  defineInstruction({
    mnemonic: 'int1',
    encodings: ['F1'],
    semantics: (o) => interrupt(o, VECTOR.DB, true),
  }),
  defineInstruction({
    mnemonic: 'into',
    encodings: ['CE'],
    flags: { reads: ['OF'] },
    modes: 'not64',
    semantics: (o) => o.when(o.flag('OF'), () => interrupt(o, VECTOR.OF)),
  }),
  undefinedInstruction('ud2', '0F 0B'),
  undefinedInstruction('ud1', '0F B9 /r Gv,Ev'),
  undefinedInstruction('ud0', '0F FF /r Gv,Ev'),
];
