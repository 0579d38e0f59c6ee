/**
 * SSE and SSE2 data movement between xmm registers, memory and general registers (Intel SDM 2,
 * MOVAPS to MOVUPS; SDM 1 §10.4.1, §11.4.1.1). The forms with MMX registers are left out: they are
 * #UD. Cache control (fences, PREFETCH, CLFLUSH) is not here.
 */
import { defineInstruction, type InstructionDefinition } from './definition.ts';
import type { Operand } from './operand.ts';
import type { Condition, Operations, Value, Vector } from './operations.ts';

type Prefix = 'NP' | '66' | 'F3' | 'F2';

/** `value` in the lowest lane of an otherwise zero vector. */
function zeroExtended(o: Operations, value: Value): Vector {
  return o.replaceLane(o.vectorConstant(0n, 0n), 0, value);
}

/** Whole registers, to and from memory: mnemonic, prefix, load, store, alignment. */
const WHOLE: readonly [string, Prefix, string, string, 'aligned' | 'unaligned'][] = [
  ['movaps', 'NP', '28', '29', 'aligned'],
  ['movapd', '66', '28', '29', 'aligned'],
  ['movups', 'NP', '10', '11', 'unaligned'],
  ['movupd', '66', '10', '11', 'unaligned'],
  ['movdqa', '66', '6F', '7F', 'aligned'],
  ['movdqu', 'F3', '6F', '7F', 'unaligned'],
];

const WHOLE_MOVES = WHOLE.map(([mnemonic, prefix, load, store, alignment]) =>
  defineInstruction({
    mnemonic,
    encodings: [`${prefix} 0F ${load} /r Vdq,Wdq`, `${prefix} 0F ${store} /r Wdq,Vdq`],
    sse: true,
    semantics(o, destination, source) {
      o.writeVector(destination, o.readVector(source, alignment), alignment);
    },
  }),
);

/** Stores past the caches: to the guest they are stores. */
const NON_TEMPORAL: readonly [string, Prefix, string][] = [
  ['movntps', 'NP', '2B'],
  ['movntpd', '66', '2B'],
  ['movntdq', '66', 'E7'],
];

const NON_TEMPORAL_STORES = NON_TEMPORAL.map(([mnemonic, prefix, opcode]) =>
  defineInstruction({
    mnemonic,
    encodings: [`${prefix} 0F ${opcode} /r Mdq,Vdq`],
    sse: true,
    semantics(o, destination, source) {
      o.writeVector(destination, o.readVector(source), 'aligned');
    },
  }),
);

/** MOVNTI needs no SSE state: it is a store of a general register. */
const MOVNTI = defineInstruction({
  mnemonic: 'movnti',
  encodings: ['NP 0F C3 /r My,Gy'],
  semantics(o, destination, source) {
    o.write(destination, o.read(source));
  },
});

/** MOVSS, MOVSD: between registers the rest of the destination stays, a load clears it. */
function scalarMove(mnemonic: string, prefix: Prefix, width: 32 | 64): InstructionDefinition {
  const source = width === 32 ? 'Wd' : 'Wq';
  return defineInstruction({
    mnemonic,
    encodings: [`${prefix} 0F 10 /r Vdq,${source}`, `${prefix} 0F 11 /r ${source},Vdq`],
    sse: true,
    semantics(o, destination, from) {
      const value = o.readVectorLow(from, width);
      if (from.kind === 'memory') o.writeVector(destination, zeroExtended(o, value));
      else o.writeVectorLow(destination, value);
    },
  });
}

/** MOVLPS, MOVHPD …: one half of a register from or to memory. */
function halfMove(
  mnemonic: string,
  prefix: Prefix,
  load: string,
  store: string,
): InstructionDefinition {
  const half = load === '12' ? 0 : 1;
  return defineInstruction({
    mnemonic,
    encodings: [`${prefix} 0F ${load} /r Vdq,Mq`, `${prefix} 0F ${store} /r Mq,Vdq`],
    sse: true,
    semantics(o, destination, source) {
      if (destination.kind === 'memory') {
        o.write(destination, o.extractLane(o.readVector(source), half, 64));
      } else {
        writeHalf(o, destination, half, o.read(source));
      }
    },
  });
}

function writeHalf(o: Operations, destination: Operand, half: 0 | 1, value: Value): void {
  o.writeVector(destination, o.replaceLane(o.readVector(destination), half, value));
}

/** MOVHLPS, MOVLHPS: the other half of another register. */
function crossMove(mnemonic: string, opcode: string, half: 0 | 1): InstructionDefinition {
  return defineInstruction({
    mnemonic,
    encodings: [`NP 0F ${opcode} /r Vdq,Udq`],
    sse: true,
    semantics(o, destination, source) {
      writeHalf(o, destination, half, o.extractLane(o.readVector(source), 1 - half, 64));
    },
  });
}

/** MOVD and MOVQ with a general register or memory; REX.W tells which. */
function generalMove(mnemonic: string, rex: 'W0' | 'W1', width: 32 | 64): InstructionDefinition {
  const general = width === 32 ? 'Ed' : 'Eq';
  return defineInstruction({
    mnemonic,
    encodings: [`66 ${rex} 0F 6E /r Vdq,${general}`, `66 ${rex} 0F 7E /r ${general},Vdq`],
    sse: true,
    semantics(o, destination, source) {
      if (source.kind === 'vector') o.write(destination, o.readVectorLow(source, width));
      else o.writeVector(destination, zeroExtended(o, o.read(source)));
    },
  });
}

/** MOVQ between xmm registers and memory: the upper half becomes zero. */
const MOVQ = defineInstruction({
  mnemonic: 'movq',
  encodings: ['F3 0F 7E /r Vdq,Wq', '66 0F D6 /r Wq,Vdq'],
  sse: true,
  semantics(o, destination, source) {
    const value = o.readVectorLow(source, 64);
    if (destination.kind === 'memory') o.write(destination, value);
    else o.writeVector(destination, zeroExtended(o, value));
  },
});

/** Sign bits of all lanes into a general register. */
function maskMove(
  mnemonic: string,
  prefix: Prefix,
  opcode: string,
  laneWidth: 8 | 32 | 64,
): InstructionDefinition {
  return defineInstruction({
    mnemonic,
    encodings: [`${prefix} 0F ${opcode} /r Gd,Udq`],
    sse: true,
    semantics(o, destination, source) {
      o.write(destination, o.signMask(o.readVector(source), laneWidth));
    },
  });
}

/** A byte on its way to memory. */
interface ByteStore {
  readonly linear: Value;
  readonly byte: Value;
}

function eitherStore(
  o: Operations,
  isFirst: Condition,
  one: ByteStore,
  other: ByteStore,
): ByteStore {
  return {
    linear: o.select(isFirst, one.linear, other.linear),
    byte: o.select(isFirst, one.byte, other.byte),
  };
}

/**
 * Stores the bytes of `value` whose bit in `selected`, not zero, is set. Only those can fault, and
 * all are tried before the first is stored: in place of a byte that is not selected, one that is
 * goes to its own place once more.
 */
function storeSelected(o: Operations, value: Vector, selected: Value): void {
  const start = o.readRegister('rdi', o.addressWidth);
  const all = Array.from({ length: 16 }, (_, index): ByteStore => {
    const offset = o.add(start, o.constant(index, o.addressWidth));
    const linear = o.linearAddress(o.segment ?? 'ds', o.zeroExtend(offset, 64));
    return { linear, byte: o.extractLane(value, index, 8) };
  });
  let present = all.reduceRight((later, store, index) =>
    eitherStore(o, o.bit(selected, index), store, later),
  );
  const stores = all.map(
    (store, index) => (present = eitherStore(o, o.bit(selected, index), store, present)),
  );
  for (const { linear } of stores) o.probeStore(linear, 8);
  for (const { linear, byte } of stores) o.store(linear, byte);
}

/** MASKMOVDQU stores the bytes whose mask byte has its top bit set, at DS:rDI. */
const MASKMOVDQU = defineInstruction({
  mnemonic: 'maskmovdqu',
  encodings: ['66 0F F7 /r Vdq,Udq'],
  sse: true,
  semantics(o, source, mask) {
    const value = o.readVector(source);
    const selected = o.signMask(o.readVector(mask), 8);
    o.when(o.negated(o.isZero(selected)), () => storeSelected(o, value, selected));
  },
});

export const SSE_MOVES: readonly InstructionDefinition[] = [
  ...WHOLE_MOVES,
  ...NON_TEMPORAL_STORES,
  MOVNTI,
  scalarMove('movss', 'F3', 32),
  scalarMove('movsd', 'F2', 64),
  halfMove('movlps', 'NP', '12', '13'),
  halfMove('movlpd', '66', '12', '13'),
  halfMove('movhps', 'NP', '16', '17'),
  halfMove('movhpd', '66', '16', '17'),
  crossMove('movhlps', '12', 0),
  crossMove('movlhps', '16', 1),
  generalMove('movd', 'W0', 32),
  generalMove('movq', 'W1', 64),
  MOVQ,
  maskMove('movmskps', 'NP', '50', 32),
  maskMove('movmskpd', '66', '50', 64),
  maskMove('pmovmskb', '66', 'D7', 8),
  MASKMOVDQU,
];
