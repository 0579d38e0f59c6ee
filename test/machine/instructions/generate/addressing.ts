/**
 * Memory operands: where they lie, and by which of the ways of ModRM and SIB (Intel SDM 2A §2.1.5,
 * §2.2.1) they are named.
 */
import { GENERAL_REGISTER_NAMES } from '../../../../machine/state/fields.ts';
import { PLACE, START } from '../world.ts';
import type { CaseBuilder } from './case-builder.ts';

const FS_PREFIX = 0x64;
const GS_PREFIX = 0x65;

/** An address for an operand of so many bytes: mostly plain, now and then one that faults. */
export function chooseAddress(builder: CaseBuilder, bytes: number): bigint {
  const { random } = builder;
  const chance = random.below(24);
  if (chance === 0) return BigInt(PLACE.stack + 0x1000 - random.below(bytes + 1));
  if (chance === 1) return BigInt(PLACE.readOnly + random.below(0xe00));
  if (chance === 3) return BigInt(PLACE.stack + 0x700 + (random.below(0x200) & -8));
  // Aligned, since the manuals do not say which fault goes first.
  if (chance === 2 && builder.is64) return ((random.bits() >> 2n) | (1n << 62n)) & ~15n;
  const pages = builder.form.definition.sse
    ? [PLACE.integers, PLACE.floats, PLACE.doubles]
    : [PLACE.integers];
  const alignment = random.once(4) ? 1 : bytes >= 16 ? 16 : 8;
  const offset = 0x100 + random.below(0xc00);
  return BigInt(random.pick(pages) + (offset & -alignment));
}

/** Takes an override for FS or GS at times and says which offset then names the address. */
function chooseSegment(builder: CaseBuilder, address: bigint): bigint {
  if (builder.addressWidth !== 16 && !builder.random.once(10)) return address;
  const name = builder.random.pick(['fsBase', 'gsBase']);
  builder.parts.prefixes.push(name === 'fsBase' ? FS_PREFIX : GS_PREFIX);
  return address - builder.field(name);
}

function setAddressRegister(builder: CaseBuilder, register: number, value: bigint): void {
  const upper = builder.addressWidth === 32 && builder.is64 ? builder.random.bits() << 32n : 0n;
  const name = GENERAL_REGISTER_NAMES[register] ?? '';
  builder.set(name, BigInt.asUintN(builder.addressWidth, value) | upper);
}

/** mod and displacement for a base register that gets the rest of the address. */
function withDisplacement(builder: CaseBuilder, needsOne: boolean): { mod: number; value: bigint } {
  const { random, parts } = builder;
  const mod = needsOne ? 1 + random.below(2) : random.below(3);
  if (mod === 0) return { mod, value: 0n };
  const bytes = mod === 1 ? 1 : 4;
  const value = BigInt.asIntN(bytes * 8, mod === 1 ? random.bits() : random.bits() >> 8n);
  parts.displacement = { value, bytes };
  return { mod, value };
}

function freeRegister(builder: CaseBuilder, allowed: (register: number) => boolean): number {
  const count = builder.is64 ? 16 : 8;
  const free = Array.from({ length: count }, (_, register) => register).filter(
    (register) => register !== 4 && builder.isFree(register) && allowed(register),
  );
  return builder.random.pick(free);
}

function byBase(builder: CaseBuilder, reg: number, offset: bigint): void {
  const base = freeRegister(builder, () => true);
  const { mod, value } = withDisplacement(builder, (base & 7) === 5);
  setAddressRegister(builder, base, offset - value);
  builder.parts.rex.b = base >> 3;
  if ((base & 7) === 4) builder.parts.sib = { scale: 0, index: 4, base: 4 };
  builder.parts.modrm = { mod, reg, rm: base & 7 };
}

function byBaseAndIndex(builder: CaseBuilder, reg: number, offset: bigint): void {
  const base = freeRegister(builder, () => true);
  const index = freeRegister(builder, (register) => register !== base);
  const scale = builder.random.below(4);
  const { mod, value } = withDisplacement(builder, (base & 7) === 5);
  const step = BigInt(builder.random.below(4096) - 2048);
  setAddressRegister(builder, index, step);
  setAddressRegister(builder, base, offset - value - (step << BigInt(scale)));
  builder.parts.rex.b = base >> 3;
  builder.parts.rex.x = index >> 3;
  builder.parts.sib = { scale, index: index & 7, base: base & 7 };
  builder.parts.modrm = { mod, reg, rm: 4 };
}

function byScaledIndex(builder: CaseBuilder, reg: number, offset: bigint): void {
  const index = freeRegister(builder, () => true);
  const scale = builder.random.below(4);
  const value = BigInt.asIntN(32, builder.random.bits() >> 40n);
  const rest = (offset - value) & ((1n << BigInt(scale)) - 1n);
  setAddressRegister(builder, index, (offset - value - rest) >> BigInt(scale));
  builder.parts.displacement = { value: value + rest, bytes: 4 };
  builder.parts.rex.x = index >> 3;
  builder.parts.sib = { scale, index: index & 7, base: 5 };
  builder.parts.modrm = { mod: 0, reg, rm: 4 };
}

function byDisplacement(builder: CaseBuilder, reg: number, offset: bigint): void {
  builder.parts.displacement = { value: offset, bytes: 4 };
  const isRelative = builder.is64 && builder.random.once(2);
  if (isRelative) builder.parts.ripTarget = offset;
  if (builder.is64 && !isRelative) builder.parts.sib = { scale: 0, index: 4, base: 5 };
  builder.parts.modrm = { mod: 0, reg, rm: builder.is64 && !isRelative ? 4 : 5 };
}

/** RSP as the base: it keeps its value, the displacement makes the difference. */
function byStackPointer(builder: CaseBuilder, reg: number, offset: bigint): void {
  const value = offset - builder.field('rsp');
  const isShort = BigInt.asIntN(8, value) === value;
  builder.parts.displacement = { value, bytes: isShort ? 1 : 4 };
  builder.parts.sib = { scale: 0, index: 4, base: 4 };
  builder.parts.modrm = { mod: isShort ? 1 : 2, reg, rm: 4 };
}

/** bx+si, bx+di, bp+si, bp+di, si, di, bp, bx (Intel SDM 2A table 2-1). */
const PAIRS_16 = [[3, 6], [3, 7], [5, 6], [5, 7], [6], [7], [5], [3]] as const; // prettier-ignore

function by16Bits(builder: CaseBuilder, reg: number, offset: bigint): void {
  const usable = [0, 1, 2, 3, 4, 5, 6, 7].filter((rm) =>
    (PAIRS_16[rm] ?? []).every((register) => builder.isFree(register)),
  );
  const rm = builder.random.pick(usable);
  const mod = rm === 6 ? 1 + builder.random.below(2) : builder.random.below(3);
  const value = BigInt.asIntN(8 * mod, builder.random.bits());
  if (mod > 0) builder.parts.displacement = { value, bytes: mod as 1 | 2 };
  const [base, index] = PAIRS_16[rm] ?? [];
  const step = BigInt(builder.random.below(256));
  const junk = (builder.random.bits() << 16n) & 0xffff_0000n;
  const put = (register: number, part: bigint): void =>
    builder.set(GENERAL_REGISTER_NAMES[register] ?? '', BigInt.asUintN(16, part) | junk);
  if (index !== undefined) put(index, step);
  if (base !== undefined) put(base, offset - value - (index === undefined ? 0n : step));
  builder.parts.modrm = { mod, reg, rm };
}

type Way = (builder: CaseBuilder, reg: number, offset: bigint) => void;

function waysTo(builder: CaseBuilder, offset: bigint): readonly Way[] {
  if (builder.addressWidth === 16) return [by16Bits];
  if (builder.isNearStackPointer(offset)) return [byStackPointer];
  const isFar = offset < 0n || offset >= 0x7000_0000n;
  if (isFar) return [byBase, byBaseAndIndex];
  return [byBase, byBase, byBaseAndIndex, byBaseAndIndex, byScaledIndex, byDisplacement];
}

/** Names the memory operand in ModRM; `reg` is the other field's three bits. */
export function encodeMemory(builder: CaseBuilder, reg: number, address: bigint): void {
  const offset = chooseSegment(builder, address);
  builder.random.pick(waysTo(builder, offset))(builder, reg, offset);
}

/** A place in the code pages where control may go: anywhere but in the instruction itself. */
export function chooseCodeTarget(builder: CaseBuilder): bigint {
  const away = 0x20 + builder.random.below(0x700);
  return BigInt(builder.random.once(2) ? START + away : START - away);
}
