/**
 * What some instructions need so that a random case does something worth seeing: a dividend that
 * does not overflow, a return address that is code, a selector that exists.
 */
import { GENERAL_REGISTER_NAMES } from '../../../../machine/state/fields.ts';
import { PLACE, SELECTOR, STACK_POINTER } from '../world.ts';
import { chooseCodeTarget } from './addressing.ts';
import type { CaseBuilder } from './case-builder.ts';

export interface SpecialCase {
  /** Before anything but the mode is chosen. */
  readonly before?: (builder: CaseBuilder) => void;
  /** When the widths are known. */
  readonly sized?: (builder: CaseBuilder) => void;
  /** When all operands are. */
  readonly after?: (builder: CaseBuilder) => void;
}

const STACK_TOP = STACK_POINTER;
const name = (register: number): string => GENERAL_REGISTER_NAMES[register] ?? '';

/** Selectors that Linux and world.ts give the same meaning, and some that are wrong in both. */
const DATA_SELECTORS = [SELECTOR.userData, SELECTOR.userData, 0, SELECTOR.userCode, SELECTOR.kernelData, 0x4003]; // prettier-ignore
const ANY_SELECTORS = [...DATA_SELECTORS, SELECTOR.kernelCode, SELECTOR.userCode32, SELECTOR.tss];

/** Puts a value of so many bytes where the ModRM operand is read from. */
function setRm(builder: CaseBuilder, value: bigint, bytes: number): void {
  const address = Number(builder.memory?.address ?? 0n);
  const isPatchable = address >= PLACE.integers && address + bytes <= PLACE.stack + 0x1000;
  if (builder.rmRegister !== undefined) builder.set(name(builder.rmRegister), value);
  else if (isPatchable) builder.patchInteger(address, value, bytes);
}

function rmBytes(builder: CaseBuilder): number {
  return builder.memory?.bytes ?? builder.width / 8;
}

const divide: SpecialCase = {
  before: (builder) => builder.reserve('rax', 'rdx'),
  after(builder) {
    if (builder.random.once(5)) return;
    const isByte = (builder.form.encoding.opcode & 1) === 0;
    const value = builder.random.integer();
    const isSigned = builder.form.definition.mnemonic === 'idiv';
    const isNegative = isSigned && ((value >> BigInt(builder.width - 1)) & 1n) === 1n;
    if (isByte) {
      const small = isSigned && builder.random.once(3) ? 0xffffn : 0x3ffn;
      builder.set('rax', (value & ~0xffffn) | (builder.random.bits() & small));
      return;
    }
    builder.set('rax', value);
    builder.set('rdx', isNegative ? ~0n : BigInt(builder.random.below(2)));
  },
};

/** Counts near the ends of the range; what is undefined beyond 16 bits is left out. */
const doubleShift: SpecialCase = {
  sized(builder) {
    const count = BigInt(builder.random.below(builder.width === 16 ? 17 : builder.width + 3));
    builder.set('rcx', count | (builder.random.bits() << 8n));
    builder.wants.immediates = [count];
  },
};

const shift: SpecialCase = {
  before(builder) {
    const count = BigInt(
      builder.random.pick([0, 1, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64]),
    );
    if (builder.random.once(4)) return;
    builder.set('rcx', count | (builder.random.bits() << 8n));
    builder.wants.immediates = [count];
  },
};

/** A bit number in a register reaches memory far away: keep it within ±128 bits. */
const bitTest: SpecialCase = {
  sized(builder) {
    if (builder.form.encoding.modrm.kind !== 'register') return;
    const register = builder.random.pick([0, 1, 2, 3, 5, 6, 7]);
    builder.wants.register = register;
    const bit = BigInt.asUintN(builder.width, BigInt(builder.random.below(256) - 128));
    const junk = builder.width < 64 ? builder.random.bits() << BigInt(builder.width) : 0n;
    builder.set(name(register), bit | (builder.is64 ? junk : 0n));
  },
};

const segmentLoad: SpecialCase = {
  after(builder) {
    const selector = BigInt(builder.random.pick(DATA_SELECTORS));
    if (builder.form.definition.mnemonic.startsWith('pop'))
      builder.patchInteger(STACK_TOP, selector | (builder.random.bits() << 16n), 8);
    else if (builder.form.encoding.opcode === 0x8e)
      setRm(builder, selector | (builder.random.bits() << 16n), rmBytes(builder));
  },
};

/** Only where the operand is a segment register; other PUSH and POP need nothing. */
const stackSegment: SpecialCase = {
  after(builder) {
    const isSegment = builder.form.encoding.operands.some(
      (operand) => operand.kind === 'fixed' && /^[CDEFGS]S$/.test(operand.name),
    );
    if (isSegment) segmentLoad.after?.(builder);
  },
};

/** Not with REX.W, which Intel's processors obey and AMD's ignore. */
const pointerLoad: SpecialCase = {
  before: (builder) => (builder.wants.widths = [16, 32]),
  after(builder) {
    const offset = builder.width / 8;
    const address = builder.memory?.address ?? 0n;
    if (address < PLACE.integers || address > PLACE.stack + 0xff0) return;
    const selector = BigInt(builder.random.pick(DATA_SELECTORS));
    builder.patchInteger(Number(address) + offset, selector, 2);
  },
};

const selectorQuery: SpecialCase = {
  after(builder) {
    const selector = BigInt(builder.random.pick(ANY_SELECTORS));
    setRm(builder, selector | (builder.random.bits() << 16n), Math.min(2, rmBytes(builder)));
  },
};

const enter: SpecialCase = {
  before(builder) {
    builder.set('rbp', BigInt(STACK_TOP + 0x100));
    const level = builder.random.pick([0, 0, 1, 2, 3, 31, 33]);
    builder.wants.immediates = [BigInt(builder.random.below(0x200)), BigInt(level)];
  },
};

const leave: SpecialCase = {
  before: (builder) => builder.set('rbp', BigInt(STACK_TOP + (builder.random.below(0x100) & -8))),
};

const nearReturn: SpecialCase = {
  before: (builder) => (builder.wants.immediates = [BigInt(builder.random.below(64))]),
  after: (builder) => builder.patchInteger(STACK_TOP, chooseCodeTarget(builder), 8),
};

/** A selector of user code, at times with a fault: data, the kernel's, null, beyond the table. */
function codeSelector(builder: CaseBuilder): bigint {
  const wrong = [SELECTOR.userData, SELECTOR.kernelCode, 0, 0x4003];
  const right = [SELECTOR.userCode, SELECTOR.userCode32];
  return BigInt(builder.random.pick(builder.random.once(4) ? wrong : right));
}

function patchStack(builder: CaseBuilder, values: readonly bigint[]): void {
  const bytes = builder.width / 8;
  values.forEach((value, index) => builder.patchInteger(STACK_TOP + index * bytes, value, bytes));
}

const farReturn: SpecialCase = {
  before(builder) {
    builder.wants.immediates = [BigInt(builder.random.below(64))];
    builder.wants.widths = builder.is64 ? [32, 64] : [32];
  },
  after: (builder) => patchStack(builder, [chooseCodeTarget(builder), codeSelector(builder)]),
};

/** No TF and no AC: the filler behind the instruction must still run. */
function poppableFlags(builder: CaseBuilder): bigint {
  return builder.random.bits() & 0x20_7ed5n;
}

const interruptReturn: SpecialCase = {
  before: (builder) => (builder.wants.widths = builder.is64 ? [32, 64] : [32]),
  after(builder) {
    const flags = poppableFlags(builder) & ~0x4000n;
    const frame = [chooseCodeTarget(builder), codeSelector(builder), flags];
    const stack = [BigInt(STACK_TOP + 0x80), BigInt(SELECTOR.userData)];
    patchStack(builder, [...frame, ...stack]);
  },
};

const popFlags: SpecialCase = {
  after: (builder) => builder.patchInteger(STACK_TOP, poppableFlags(builder), 8),
};

/** Near: an address of code. Far: an address and a selector. */
const indirectBranch: SpecialCase = {
  before(builder) {
    const { encoding } = builder.form;
    const isFar = encoding.operands.some(
      (operand) =>
        operand.kind === 'coded' && 'pA'.includes(operand.letter === 'A' ? 'A' : operand.size),
    );
    if (isFar) builder.wants.widths = [32];
    builder.wants.immediates = [chooseCodeTarget(builder), codeSelector(builder)];
  },
  after(builder) {
    const { encoding } = builder.form;
    const isFar = encoding.operands.some(
      (operand) => operand.kind === 'coded' && operand.size === 'p',
    );
    if (encoding.modrm.kind === 'none') return;
    const selector = isFar ? codeSelector(builder) << 32n : 0n;
    setRm(builder, chooseCodeTarget(builder) | selector, rmBytes(builder));
  },
};

const translate: SpecialCase = {
  before(builder) {
    const low = builder.field('rax') & 0xffn;
    builder.set('rbx', BigInt(PLACE.integers + 0x200 + builder.random.below(0x100)) - low);
  },
};

const compareExchange: SpecialCase = {
  before: (builder) => builder.reserve('rax'),
  after(builder) {
    if (builder.random.once(2)) return;
    const { rmRegister } = builder;
    if (rmRegister !== undefined) builder.set('rax', builder.field(name(rmRegister)));
    else setRm(builder, builder.field('rax'), rmBytes(builder));
  },
};

const compareExchangePair: SpecialCase = {
  before: (builder) => builder.reserve('rax', 'rbx', 'rcx', 'rdx'),
  after(builder) {
    if (builder.random.once(2)) return;
    const half = builder.width === 64 ? 64n : 32n;
    const low = BigInt.asUintN(Number(half), builder.field('rax'));
    const high = BigInt.asUintN(Number(half), builder.field('rdx'));
    setRm(builder, low | (high << half), Number(half) / 4);
  },
};

const countedJump: SpecialCase = {
  before: (builder) =>
    builder.set(
      'rcx',
      builder.random.pick([0n, 1n, 2n, 1n << 16n, 1n << 32n, (1n << 32n) | 1n, 5n]),
    ),
};

/** Not the ports that world.ts allows. */
const port: SpecialCase = {
  before(builder) {
    builder.wants.immediates = [BigInt(builder.random.below(0xe0))];
    if (builder.form.definition.repeat) builder.wants.repetitions = 1 + builder.random.below(5);
  },
};

/** Vectors that no program may raise, neither on Linux nor in world.ts. */
const interrupt: SpecialCase = {
  before: (builder) =>
    (builder.wants.immediates = [
      BigInt(builder.random.pick([0, 1, 2, 8, 13, 14, 0x20, 0x40, 0xff])),
    ]),
};

const overflowTrap: SpecialCase = {
  before: (builder) =>
    builder.set(
      'rflags',
      (builder.field('rflags') & ~0x800n) | (builder.random.once(2) ? 0x800n : 0n),
    ),
};

const loadMxcsr: SpecialCase = {
  after(builder) {
    const reserved = builder.random.once(4) ? 0x1_0000n : 0n;
    setRm(builder, (builder.random.bits() & 0xffffn) | reserved, 4);
  },
};

const storeMxcsr: SpecialCase = {
  before: (builder) => builder.set('mxcsr', builder.random.bits() & 0xffffn),
};

const fxstate: SpecialCase = {
  before(builder) {
    const address = BigInt(PLACE.integers + 0x100 + builder.random.below(0x80) * 16);
    builder.wants.memory = { address: builder.random.once(8) ? address + 8n : address, bytes: 512 };
  },
  after(builder) {
    const image = new Uint8Array(32);
    const view = new DataView(image.buffer);
    view.setUint16(0, 0x37f, true);
    const reserved = builder.random.once(4) ? 0x1_0000n : 0n;
    view.setUint32(24, Number((builder.random.bits() & 0xffffn) | reserved), true);
    if (builder.form.definition.mnemonic.startsWith('fxrstor'))
      builder.patch(Number(builder.memory?.address ?? 0n), image);
  },
};

const maskedMove: SpecialCase = {
  before: (builder) =>
    builder.set('rdi', BigInt(PLACE.integers + 0x100 + builder.random.below(0x800))),
};

/** Two runs of equal bytes that part company somewhere, so that REPE and REPNE both go on a while. */
const compareStrings: SpecialCase = {
  after(builder) {
    const bytes = new Uint8Array(64).fill(builder.random.below(256));
    const place = PLACE.integers + 0x400;
    const other = bytes.slice();
    other[builder.random.below(48)] = builder.random.below(256);
    builder.patch(place, bytes);
    builder.patch(place + 0x100, other);
    const at = builder.random.below(16);
    const middle = builder.field('rflags') & 0x400n ? 32 : 0;
    if (builder.random.once(6)) return;
    builder.set('rsi', BigInt(place + (at & -8) / 2 + middle));
    builder.set('rdi', BigInt(place + 0x100 + (at & -8) / 2 + middle));
    builder.set('rax', BigInt(bytes[0] ?? 0) * 0x0101_0101_0101_0101n);
  },
};

const overlappingMove: SpecialCase = {
  after(builder) {
    if (builder.random.once(2)) return;
    const distance = BigInt(builder.random.below(33) - 16);
    builder.set('rsi', BigInt(PLACE.integers + 0x400));
    builder.set('rdi', BigInt(PLACE.integers + 0x400) + distance);
  },
};

const table: readonly (readonly [mnemonics: string, special: SpecialCase])[] = [
  ['div idiv', divide],
  ['shl shr sar sal rol ror rcl rcr', shift],
  ['shld shrd', doubleShift],
  ['bt bts btr btc', bitTest],
  ['mov', segmentLoad],
  ['push pop', stackSegment],
  ['lds les lss lfs lgs', pointerLoad],
  ['verr verw lar lsl', selectorQuery],
  ['enter', enter],
  ['leave', leave],
  ['ret retn', nearReturn],
  ['retf lret', farReturn],
  ['iret iretd iretq', interruptReturn],
  ['popf popfd popfq', popFlags],
  ['jmp call jmpf callf ljmp lcall', indirectBranch],
  ['xlat xlatb', translate],
  ['cmpxchg', compareExchange],
  ['cmpxchg8b cmpxchg16b', compareExchangePair],
  ['loop loope loopne loopz loopnz jcxz jecxz jrcxz', countedJump],
  ['int', interrupt],
  ['into', overflowTrap],
  ['in out ins outs', port],
  ['ldmxcsr', loadMxcsr],
  ['stmxcsr', storeMxcsr],
  ['fxsave fxrstor fxsave64 fxrstor64', fxstate],
  ['maskmovdqu', maskedMove],
  ['cmps cmpsb cmpsw cmpsd cmpsq scas scasb scasw scasd scasq', compareStrings],
  ['movs movsb movsw movsq', overlappingMove],
];

export const SPECIAL_CASES: Readonly<Record<string, SpecialCase>> = Object.fromEntries(
  table.flatMap(([mnemonics, special]) =>
    mnemonics.split(' ').map((mnemonic) => [mnemonic, special] as const),
  ),
);
