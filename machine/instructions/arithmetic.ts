/**
 * The eight ALU operations in all their forms, and those beside them: ADD OR ADC SBB AND SUB XOR CMP,
 * INC DEC NEG NOT TEST (Intel SDM 2, by name). Their encodings are regular: opcode = 8 × operation + form.
 */
import { ARITHMETIC_FLAGS } from './arithmetic-flags.ts';
import { defineInstruction } from './definition.ts';
import type { InstructionDefinition } from './definition.ts';
import { opcodeText } from './encoding-text.ts';
import type { Operand } from './operand.ts';
import type { Operations, Value } from './operations.ts';

const LOGIC = { writes: ARITHMETIC_FLAGS, undefined: ['AF'] } as const;

interface AluOperation {
  readonly mnemonic: string;
  readonly flags: NonNullable<InstructionDefinition['flags']>;
  /** Sets the flags; the result is written unless `compares`. */
  readonly result: (o: Operations, left: Value, right: Value) => Value;
  readonly compares?: true;
}

function sum(o: Operations, left: Value, right: Value, carry?: Value): Value {
  const partial = o.add(left, right);
  const result = carry === undefined ? partial : o.add(partial, carry);
  o.setFlagsOfAdd(left, right, result);
  return result;
}

function difference(o: Operations, left: Value, right: Value, borrow?: Value): Value {
  const partial = o.subtract(left, right);
  const result = borrow === undefined ? partial : o.subtract(partial, borrow);
  o.setFlagsOfSubtract(left, right, result);
  return result;
}

function logic(o: Operations, result: Value): Value {
  o.setFlagsOfLogic(result);
  return result;
}

const carryOf = (o: Operations, value: Value): Value => o.fromCondition(o.flag('CF'), value.width);

/** By operation number: the reg field of 80–83, bits 3–5 of 00–3F. */
const ALU: readonly AluOperation[] = [
  { mnemonic: 'add', flags: { writes: ARITHMETIC_FLAGS }, result: sum },
  { mnemonic: 'or', flags: LOGIC, result: (o, left, right) => logic(o, o.or(left, right)) },
  {
    mnemonic: 'adc',
    flags: { reads: ['CF'], writes: ARITHMETIC_FLAGS },
    result: (o, left, right) => sum(o, left, right, carryOf(o, left)),
  },
  {
    mnemonic: 'sbb',
    flags: { reads: ['CF'], writes: ARITHMETIC_FLAGS },
    result: (o, left, right) => difference(o, left, right, carryOf(o, left)),
  },
  { mnemonic: 'and', flags: LOGIC, result: (o, left, right) => logic(o, o.and(left, right)) },
  { mnemonic: 'sub', flags: { writes: ARITHMETIC_FLAGS }, result: difference },
  { mnemonic: 'xor', flags: LOGIC, result: (o, left, right) => logic(o, o.xor(left, right)) },
  { mnemonic: 'cmp', flags: { writes: ARITHMETIC_FLAGS }, result: difference, compares: true },
];

function aluEncodings(number: number): string[] {
  const opcode = (form: number): string => opcodeText(number * 8 + form);
  return [
    `${opcode(0)} /r Eb,Gb`,
    `${opcode(1)} /r Ev,Gv`,
    `${opcode(2)} /r Gb,Eb`,
    `${opcode(3)} /r Gv,Ev`,
    `${opcode(4)} AL,Ib`,
    `${opcode(5)} rAX,Izs`,
    `80 /${number} Eb,Ib`,
    `81 /${number} Ev,Izs`,
    `83 /${number} Ev,Ibs`,
  ];
}

function aluDefinition(
  { mnemonic, flags, result, compares }: AluOperation,
  encodings: readonly string[],
): InstructionDefinition {
  return {
    mnemonic,
    encodings,
    flags,
    ...(compares === undefined ? { lock: true } : {}),
    semantics(o: Operations, destination: Operand, source: Operand) {
      const value = result(o, o.read(destination), o.read(source));
      if (compares === undefined) o.write(destination, value);
    },
  };
}

/** INC and DEC leave CF alone. */
function step(mnemonic: 'inc' | 'dec', digit: 0 | 1): InstructionDefinition[] {
  const base = {
    mnemonic,
    flags: { writes: ['PF', 'AF', 'ZF', 'SF', 'OF'] },
    lock: true,
    semantics(o: Operations, destination: Operand) {
      const value = o.read(destination);
      const one = o.constant(1, value.width);
      const carry = o.flag('CF');
      const result = mnemonic === 'inc' ? sum(o, value, one) : difference(o, value, one);
      o.setFlag('CF', carry);
      o.write(destination, result);
    },
  } as const;
  return [
    { ...base, encodings: [`FE /${digit} Eb`, `FF /${digit} Ev`] },
    // In 64-bit mode these bytes are REX.
    { ...base, encodings: [`${opcodeText(0x40 + 8 * digit)}+r Zv`], modes: 'not64' },
  ];
}

export const ARITHMETIC: readonly InstructionDefinition[] = [
  ...ALU.map((operation, number) => aluDefinition(operation, aluEncodings(number))),
  ...ALU.map((operation, number) => ({
    ...aluDefinition(operation, [`82 /${number} Eb,Ib`]),
    modes: 'not64' as const,
  })),
  ...step('inc', 0),
  ...step('dec', 1),
  defineInstruction({
    mnemonic: 'neg',
    encodings: ['F6 /3 Eb', 'F7 /3 Ev'],
    flags: { writes: ARITHMETIC_FLAGS },
    lock: true,
    semantics(o, destination) {
      const value = o.read(destination);
      o.write(destination, difference(o, o.constant(0, value.width), value));
    },
  }),
  defineInstruction({
    mnemonic: 'not',
    encodings: ['F6 /2 Eb', 'F7 /2 Ev'],
    lock: true,
    semantics(o, destination) {
      o.write(destination, o.not(o.read(destination)));
    },
  }),
  defineInstruction({
    mnemonic: 'test',
    // The manual has /0 only; the CPU takes /1 for the same.
    encodings: [
      '84 /r Eb,Gb',
      '85 /r Ev,Gv',
      'A8 AL,Ib',
      'A9 rAX,Izs',
      'F6 /0 Eb,Ib',
      'F7 /0 Ev,Izs',
      'F6 /1 Eb,Ib',
      'F7 /1 Ev,Izs',
    ],
    flags: LOGIC,
    semantics(o, left, right) {
      logic(o, o.and(o.read(left), o.read(right)));
    },
  }),
];
