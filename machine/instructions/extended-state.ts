/**
 * FXSAVE FXRSTOR LDMXCSR STMXCSR, and the x87 instructions that kernels execute to find or reset a unit
 * (Intel SDM 2A "FXSAVE", SDM 1 §8.1). There is no x87 arithmetic: its other opcodes are undefined.
 */
import { VECTOR } from '../guest-fault.ts';
import { defineInstruction } from './definition.ts';
import type { InstructionDefinition } from './definition.ts';
import type { IntegerWidth, Operand } from './operand.ts';
import { linearAddressOf } from './operand-address.ts';
import type { Operations } from './operations.ts';

/** Byte offsets in the state field x87Area, which begins as FXSAVE's image does. */
const CONTROL_WORD = 0;
const STATUS_WORD = 2;

/** #NM instead of the instruction when CR0.EM or CR0.TS is set. */
function guarded(
  definition: InstructionDefinition & { semantics(o: Operations, operand: Operand): void },
): InstructionDefinition {
  return {
    ...definition,
    semantics(o: Operations, operand: Operand) {
      if (o.mode.x87 === 'not-available') o.raise(VECTOR.NM);
      else definition.semantics(o, operand);
    },
  };
}

function storeWord(
  mnemonic: string,
  encodings: readonly string[],
  offset: number,
): InstructionDefinition {
  return guarded({
    mnemonic,
    encodings,
    semantics(o, destination) {
      const [value] = o.host('x87ReadWord', o.constant(offset, 64));
      o.write(destination, o.truncate(value, destination.width as IntegerWidth));
    },
  });
}

function transferImage(mnemonic: 'fxsave' | 'fxrstor', digit: number): InstructionDefinition {
  return guarded({
    mnemonic,
    encodings: [`NP 0F AE /${digit} M`],
    semantics(o, image) {
      o.host(mnemonic, linearAddressOf(o, image), o.constant(o.operandWidth, 64));
    },
  });
}

export const EXTENDED_STATE: readonly InstructionDefinition[] = [
  transferImage('fxsave', 0),
  transferImage('fxrstor', 1),
  defineInstruction({
    mnemonic: 'ldmxcsr',
    encodings: ['NP 0F AE /2 Md'],
    sse: true,
    semantics: (o, source) => void o.host('ldmxcsr', o.zeroExtend(o.read(source), 64)),
  }),
  defineInstruction({
    mnemonic: 'stmxcsr',
    encodings: ['NP 0F AE /3 Md'],
    sse: true,
    semantics: (o, destination) => o.write(destination, o.readField('mxcsr')),
  }),
  guarded({
    mnemonic: 'fninit',
    encodings: ['DB E3'],
    semantics: (o) => void o.host('x87Reset'),
  }),
  guarded({
    mnemonic: 'fnclex',
    encodings: ['DB E2'],
    semantics: (o) => void o.host('x87WriteWord', o.constant(STATUS_WORD, 64), o.constant(0, 64)),
  }),
  guarded({
    mnemonic: 'fldcw',
    encodings: ['D9 /5 Mw'],
    semantics(o, source) {
      const read = o.zeroExtend(o.read(source), 64);
      // Reserved bits: 6 reads as one, 7 and 13 to 15 as zero.
      const value = o.or(o.and(read, o.constant(0x1f3f, 64)), o.constant(0x40, 64));
      o.host('x87WriteWord', o.constant(CONTROL_WORD, 64), value);
    },
  }),
  storeWord('fnstcw', ['D9 /7 Mw'], CONTROL_WORD),
  storeWord('fnstsw', ['DD /7 Mw', 'DF E0 AX'], STATUS_WORD),
  guarded({
    mnemonic: 'fwait',
    encodings: ['9B'],
    semantics: () => undefined,
  }),
];
