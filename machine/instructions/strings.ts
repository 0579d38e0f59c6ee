/**
 * MOVS STOS LODS SCAS CMPS INS OUTS with REP, REPE, REPNE (Intel SDM 2B "REP/REPE/REPZ/REPNE/REPNZ").
 * Each iteration is an instruction of its own to interrupts and to the clock: the semantics do one
 * element and ask to execute again, MOVS and STOS do as many as `stringRun` can at once.
 */
import type { InstructionDefinition } from './definition.ts';
import { SEGMENT_REGISTERS } from './operand.ts';
import type { IntegerWidth, Operand } from './operand.ts';
import type { Condition, Operations, RegisterName, Value } from './operations.ts';
import { ARITHMETIC_FLAGS } from './arithmetic-flags.ts';

type Pointer = Extract<RegisterName, 'rsi' | 'rdi'>;

/** One element of a string instruction, before its pointers move. */
interface Element {
  readonly width: IntegerWidth;
  readonly pointers: readonly Pointer[];
  /** Does the element; the result tells REPE and REPNE whether its data were equal. */
  process(o: Operations): Condition | undefined;
}

function linearOf(o: Operations, pointer: Pointer): Value {
  const offset = o.readRegister(pointer, o.addressWidth);
  // Nothing overrides ES:rDI.
  return o.linearAddress(pointer === 'rdi' ? 'es' : (o.segment ?? 'ds'), offset);
}

/** Moves the pointers one element on, by DF. */
function advance(o: Operations, { pointers, width }: Element): void {
  const up = o.constant(width / 8, o.addressWidth);
  const distance = o.select(o.systemFlag('DF'), o.negate(up), up);
  for (const pointer of pointers) {
    o.writeRegister(pointer, o.add(o.readRegister(pointer, o.addressWidth), distance));
  }
}

function countOf(o: Operations): Value {
  return o.readRegister('rcx', o.addressWidth);
}

/** One pass of a repeated instruction: one element, then perhaps again. */
function passOnce(o: Operations, element: Element): void {
  const left = o.subtract(countOf(o), o.constant(1, o.addressWidth));
  const wereEqual = element.process(o);
  advance(o, element);
  o.writeRegister('rcx', left);
  const goesOn = o.negated(o.isZero(left));
  if (wereEqual === undefined) o.again(goesOn);
  else o.again(o.both(goesOn, o.repeat === 'repe' ? wereEqual : o.negated(wereEqual)));
}

/** `pass` does at least one element of a count that is not 0. */
function repeated(o: Operations, element: Element, pass: () => void): void {
  if (o.repeat === 'none') {
    element.process(o);
    advance(o, element);
    return;
  }
  o.when(o.negated(o.isZero(countOf(o))), pass);
}

/** Whole runs of MOVS and STOS; `done` elements are behind the pointers afterwards. */
function finishRun(o: Operations, element: Element, done: Value): void {
  const elements = o.truncate(done, o.addressWidth);
  const bytes = o.shiftLeft(elements, o.constant(Math.log2(element.width / 8), 8));
  const left = o.subtract(countOf(o), elements);
  for (const pointer of element.pointers) {
    o.writeRegister(pointer, o.add(o.readRegister(pointer, o.addressWidth), bytes));
  }
  o.writeRegister('rcx', left);
  o.again(o.negated(o.isZero(left)));
}

/** A pass of REP MOVS or STOS: a run if there is one, else one element, which may fault. */
function passRun(
  o: Operations,
  element: Element,
  run: { readonly source?: Value; readonly fill?: Value },
): void {
  const count = o.zeroExtend(countOf(o), 64);
  const once = (): void => passOnce(o, element);
  o.when(o.systemFlag('DF'), once, () => {
    const { width } = element;
    const done = o.stringRun({ count, destination: linearOf(o, 'rdi'), width, ...run });
    o.when(o.isZero(done), once, () => finishRun(o, element, done));
  });
}

function widthOf(operand: Operand): IntegerWidth {
  if (operand.kind !== 'memory' && operand.kind !== 'register') {
    throw new Error(`a ${operand.kind} operand has no element`);
  }
  return operand.width as IntegerWidth;
}

function compareElements(
  o: Operations,
  element: Omit<Element, 'process'>,
  left: (o: Operations) => Value,
): void {
  const whole: Element = {
    ...element,
    process() {
      const first = left(o);
      const second = o.load(linearOf(o, 'rdi'), element.width);
      o.setFlagsOfSubtract(first, second, o.subtract(first, second));
      return o.equal(first, second);
    },
  };
  repeated(o, whole, () => passOnce(o, whole));
}

/** INS and OUTS: the host moves the pointer with the element, so that a fault leaves both. */
function portElement(o: Operations, name: 'ins' | 'outs', width: IntegerWidth): Element {
  const segment = SEGMENT_REGISTERS.indexOf(o.segment ?? 'ds');
  return {
    width,
    pointers: [],
    process() {
      const details = [width, o.addressWidth, name === 'ins' ? 0 : segment];
      o.host(name, ...details.map((detail) => o.constant(detail, 64)));
      return undefined;
    },
  };
}

function portString(
  name: 'ins' | 'outs',
  encodings: readonly string[],
  memory: 0 | 1,
): InstructionDefinition {
  return {
    mnemonic: name,
    encodings,
    repeat: 'rep',
    semantics(o: Operations, ...operands: Operand[]) {
      const element = portElement(o, name, widthOf(operands[memory]!));
      repeated(o, element, () => passOnce(o, element));
    },
  };
}

export const STRINGS: readonly InstructionDefinition[] = [
  {
    mnemonic: 'movs',
    encodings: ['A4 Yb,Xb', 'A5 Yv,Xv'],
    repeat: 'rep',
    semantics(o, destination) {
      const width = widthOf(destination);
      const element: Element = {
        width,
        pointers: ['rsi', 'rdi'],
        process() {
          o.store(linearOf(o, 'rdi'), o.load(linearOf(o, 'rsi'), width));
          return undefined;
        },
      };
      repeated(o, element, () => passRun(o, element, { source: linearOf(o, 'rsi') }));
    },
  },
  {
    mnemonic: 'stos',
    encodings: ['AA Yb,AL', 'AB Yv,rAX'],
    repeat: 'rep',
    semantics(o, destination) {
      const width = widthOf(destination);
      const fill = o.readRegister('rax', width);
      const element: Element = {
        width,
        pointers: ['rdi'],
        process() {
          o.store(linearOf(o, 'rdi'), fill);
          return undefined;
        },
      };
      repeated(o, element, () => passRun(o, element, { fill }));
    },
  },
  {
    mnemonic: 'lods',
    encodings: ['AC AL,Xb', 'AD rAX,Xv'],
    repeat: 'rep',
    semantics(o, destination) {
      const width = widthOf(destination);
      const element: Element = {
        width,
        pointers: ['rsi'],
        process() {
          o.writeRegister('rax', o.load(linearOf(o, 'rsi'), width));
          return undefined;
        },
      };
      repeated(o, element, () => passOnce(o, element));
    },
  },
  {
    mnemonic: 'scas',
    encodings: ['AE AL,Yb', 'AF rAX,Yv'],
    flags: { writes: ARITHMETIC_FLAGS },
    repeat: 'repe-repne',
    semantics(o, accumulator) {
      const width = widthOf(accumulator);
      compareElements(o, { width, pointers: ['rdi'] }, () => o.readRegister('rax', width));
    },
  },
  {
    mnemonic: 'cmps',
    encodings: ['A6 Xb,Yb', 'A7 Xv,Yv'],
    flags: { writes: ARITHMETIC_FLAGS },
    repeat: 'repe-repne',
    semantics(o, first) {
      const width = widthOf(first);
      compareElements(o, { width, pointers: ['rsi', 'rdi'] }, () =>
        o.load(linearOf(o, 'rsi'), width),
      );
    },
  },
  portString('ins', ['6C Yb,DX', '6D Yz,DX'], 0),
  portString('outs', ['6E DX,Xb', '6F DX,Xz'], 1),
];
