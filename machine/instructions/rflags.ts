/** What touches single flags: CLC STC CMC CLD STD LAHF SAHF SALC CLI STI. */
import { VECTOR } from '../guest-fault.ts';
import { defineInstruction } from './definition.ts';
import type { InstructionDefinition } from './definition.ts';
import { setInterruptFlag } from './fast-transfers.ts';
import type { Operations, SystemFlag } from './operations.ts';
import { FLAG_BITS, packed } from './packed-flags.ts';

const INTERRUPT_FLAG = 1n << 9n;
/** LAHF and SAHF know all but OF. */
const LOW_BYTE = FLAG_BITS.filter(([flag]) => flag !== 'OF');

function carryTo(mnemonic: string, opcode: string, value: boolean): InstructionDefinition {
  return {
    mnemonic,
    encodings: [opcode],
    flags: { writes: ['CF'] },
    semantics: (o: Operations) => o.setFlag('CF', o.always(value)),
  };
}

function systemFlagTo(
  mnemonic: string,
  opcode: string,
  flag: SystemFlag,
  value: boolean,
): InstructionDefinition {
  return {
    mnemonic,
    encodings: [opcode],
    semantics: (o: Operations) => o.setSystemFlag(flag, o.always(value)),
  };
}

/**
 * CLAC and STAC exist at CPL 0 only (SDM 2A, CLAC). They end a region of hot code, which looks the
 * TLB context up once.
 */
function accessFlagTo(mnemonic: string, modrm: string, value: boolean): InstructionDefinition {
  return {
    mnemonic,
    encodings: [`NP 0F 01 ${modrm}`],
    semantics(o: Operations) {
      if (o.mode.cpl !== 0) {
        o.raise(VECTOR.UD);
        return;
      }
      o.setUserAccess(value);
      o.jump(o.nextRip());
    },
  };
}

export const FLAGS: readonly InstructionDefinition[] = [
  carryTo('clc', 'F8', false),
  carryTo('stc', 'F9', true),
  systemFlagTo('cld', 'FC', 'DF', false),
  systemFlagTo('std', 'FD', 'DF', true),
  accessFlagTo('clac', 'CA', false),
  accessFlagTo('stac', 'CB', true),
  defineInstruction({
    mnemonic: 'cmc',
    encodings: ['F5'],
    flags: { reads: ['CF'], writes: ['CF'] },
    semantics: (o) => o.setFlag('CF', o.negated(o.flag('CF'))),
  }),
  defineInstruction({
    mnemonic: 'lahf',
    encodings: ['9F'],
    flags: { reads: LOW_BYTE.map(([flag]) => flag) },
    semantics(o) {
      // Bit 1 is always set.
      const low = packed(o, LOW_BYTE, o.constant(2, 8));
      o.writeRegister('rax', o.concatenate(low, o.readRegister('rax', 8)));
    },
  }),
  defineInstruction({
    mnemonic: 'sahf',
    encodings: ['9E'],
    flags: { writes: LOW_BYTE.map(([flag]) => flag) },
    semantics(o) {
      const value = o.readRegister('rax', 16);
      for (const [flag, bit] of LOW_BYTE) o.setFlag(flag, o.bit(value, bit + 8));
    },
  }),
  defineInstruction({
    mnemonic: 'salc',
    encodings: ['D6'],
    flags: { reads: ['CF'] },
    modes: 'not64',
    semantics: (o) => o.writeRegister('rax', o.negate(o.fromCondition(o.flag('CF'), 8))),
  }),
  defineInstruction({
    mnemonic: 'cli',
    encodings: ['FA'],
    semantics(o) {
      if (o.mode.cpl !== 0) {
        o.host('cli');
        return;
      }
      const others = o.constant(BigInt.asUintN(64, ~INTERRUPT_FLAG), 64);
      o.writeField('rflagsSystem', o.and(o.readField('rflagsSystem'), others));
    },
  }),
  defineInstruction({
    mnemonic: 'sti',
    encodings: ['FB'],
    semantics(o) {
      const otherwise = (): void => o.hostTransfer('sti');
      if (o.mode.codeWidth === 64 && o.mode.cpl === 0) setInterruptFlag(o, otherwise);
      else otherwise();
    },
  }),
];
