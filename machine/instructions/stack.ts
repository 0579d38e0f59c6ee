/** PUSH POP PUSHA POPA PUSHF POPF ENTER LEAVE (Intel SDM 2, by name). Segments are in segments.ts. */
import { ARITHMETIC_FLAGS } from './arithmetic-flags.ts';
import { defineInstruction } from './definition.ts';
import type { InstructionDefinition } from './definition.ts';
import type { Operations, RegisterName, Value } from './operations.ts';
import { popFlags } from './fast-transfers.ts';
import { rflags } from './packed-flags.ts';

/** In the order in which PUSHA stores them. */
const PUSHA_ORDER: readonly RegisterName[] = [
  'rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi',
]; // prettier-ignore

/** The linear address `bytes` above the stack pointer. */
function stackAddress(o: Operations, bytes: number): Value {
  const pointer = o.readRegister('rsp', o.mode.stackWidth);
  return o.linearAddress('ss', o.add(pointer, o.constant(bytes, pointer.width)));
}

function pushAll(o: Operations): void {
  const width = o.operandWidth;
  const places = PUSHA_ORDER.map((_, index) => stackAddress(o, (-(index + 1) * width) / 8));
  for (const place of places) o.probeStore(place, width);
  PUSHA_ORDER.forEach((name, index) => o.store(places[index]!, o.readRegister(name, width)));
  o.moveStackPointer(-width);
}

function popAll(o: Operations): void {
  const width = o.operandWidth;
  const values = [...PUSHA_ORDER]
    .reverse()
    .map((name, index) => [name, o.load(stackAddress(o, (index * width) / 8), width)] as const);
  for (const [name, value] of values) if (name !== 'rsp') o.writeRegister(name, value);
  o.moveStackPointer(width);
}

export const STACK: readonly InstructionDefinition[] = [
  defineInstruction({
    mnemonic: 'push',
    encodings: ['50+r d64 Zv', 'FF /6 d64 Ev', '68 d64 Izs', '6A d64 Ibs'],
    semantics(o, source) {
      o.push(o.read(source));
    },
  }),
  defineInstruction({
    mnemonic: 'pop',
    encodings: ['58+r d64 Zv', '8F /0 d64 after-pop Ev'],
    semantics(o, destination) {
      const value = o.peekStack(0, o.operandWidth);
      if (destination.kind === 'memory') o.write(destination, value);
      o.moveStackPointer(o.operandWidth / 8);
      // POP rSP ends with the value, so the register comes last.
      if (destination.kind === 'register') o.write(destination, value);
    },
  }),
  defineInstruction({
    mnemonic: 'pusha',
    encodings: ['60'],
    modes: 'not64',
    semantics: pushAll,
  }),
  defineInstruction({
    mnemonic: 'popa',
    encodings: ['61'],
    modes: 'not64',
    semantics: popAll,
  }),
  defineInstruction({
    mnemonic: 'pushf',
    encodings: ['9C d64'],
    flags: { reads: ARITHMETIC_FLAGS },
    semantics(o) {
      const withoutRfAndVm = o.and(rflags(o), o.constant(0xfcffff, 64));
      o.push(o.truncate(withoutRfAndVm, o.operandWidth));
    },
  }),
  defineInstruction({
    mnemonic: 'popf',
    encodings: ['9D d64'],
    flags: { writes: ARITHMETIC_FLAGS },
    semantics(o) {
      const value = o.zeroExtend(o.peekStack(0, o.operandWidth), 64);
      const bytes = o.constant(o.operandWidth / 8, 64);
      const otherwise = (): void =>
        o.hostTransfer('popf', value, o.constant(o.operandWidth, 64), bytes);
      if (o.mode.cpl === 0 && o.operandWidth === 64) popFlags(o, value, otherwise);
      else otherwise();
    },
  }),
  defineInstruction({
    mnemonic: 'enter',
    encodings: ['C8 d64 Iw,Ib'],
    semantics(o, size, level) {
      const nesting = o.and(o.read(level), o.constant(31, 8));
      const bytes = o.zeroExtend(o.read(size), 64);
      o.host('enter', bytes, o.zeroExtend(nesting, 64), o.constant(o.operandWidth, 64));
    },
  }),
  defineInstruction({
    mnemonic: 'leave',
    encodings: ['C9 d64'],
    semantics(o) {
      const frame = o.readRegister('rbp', o.mode.stackWidth);
      const saved = o.load(o.linearAddress('ss', frame), o.operandWidth);
      o.writeRegister('rsp', o.add(frame, o.constant(o.operandWidth / 8, frame.width)));
      o.writeRegister('rbp', saved);
    },
  }),
];
