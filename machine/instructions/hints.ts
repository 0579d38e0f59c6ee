/**
 * Instructions that order or hint and change nothing here: NOP PAUSE ENDBR prefetches and fences
 * (Intel SDM 2, by name). CLFLUSH at least proves that its line may be read.
 */
import { defineInstruction } from './definition.ts';
import type { InstructionDefinition } from './definition.ts';
import { linearAddressOf } from './operand-address.ts';
import type { Operations } from './operations.ts';

function hint(mnemonic: string, ...encodings: string[]): InstructionDefinition {
  return { mnemonic, encodings, semantics: () => undefined };
}

export const HINTS: readonly InstructionDefinition[] = [
  // 90 is XCHG rAX,rAX and keeps even the upper half; with REX.B it is a true exchange.
  hint('nop', 'B0 90'),
  hint('pause', 'F3 B0 90'),
  // The reserved hint space 0F 18–0F 1F (SDM 2B, NOP), of which some have found a meaning.
  hint(
    'nop',
    ...['18', '19', '1A', '1B', '1C', '1D', '1E', '1F'].map((opcode) => `0F ${opcode} /r Ev`),
  ),
  hint('prefetchnta', '0F 18 /0 Mb'),
  hint('prefetcht0', '0F 18 /1 Mb'),
  hint('prefetcht1', '0F 18 /2 Mb'),
  hint('prefetcht2', '0F 18 /3 Mb'),
  hint('prefetch', '0F 0D /r Mb'),
  hint('prefetchw', '0F 0D /1 Mb'),
  hint('endbr64', 'F3 0F 1E FA'),
  hint('endbr32', 'F3 0F 1E FB'),
  hint('lfence', 'NP 0F AE /5 mod3'),
  hint('mfence', 'NP 0F AE /6 mod3'),
  hint('sfence', 'NP 0F AE /7 mod3'),
  defineInstruction({
    mnemonic: 'clflush',
    encodings: ['NP 0F AE /7 Mb'],
    semantics(o: Operations, place) {
      o.load(linearAddressOf(o, place), 8);
    },
  }),
];
