/**
 * Holds what our machine did against a vector, with the differences that the manuals allow: undefined
 * flags, approximations, reserved bits.
 */
import type { Outcome } from './emulated-cpu.ts';
import type { Form } from './forms.ts';
import { HARDWARE_FIELDS } from './hardware-fields.ts';
import { ALL_FIELDS, initialState } from './initial-state.ts';
import { undefinedFlags } from './undefined-flags.ts';
import type { MemoryBytes, Setup, Vector } from './vector-file.ts';
import { worldImage } from './world.ts';

/** After an exception these are the handler's, and its frame does not show them. */
const LOST_IN_FRAME = /^(cs|ss)(Base|Limit|Attributes)$|^cpl$/;
const NULLED_ON_RETURN = /^[defg]sSelector$/;
/** |error| ≤ 1.5 × 2^−12 for either of the two (Intel SDM 2B, RCPPS and RSQRTPS). */
const APPROXIMATE = /^r(cp|sqrt)[ps]s$/;
const APPROXIMATION_ERROR = 2 * 1.5 * 2 ** -12;

function float32(bits: bigint): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, Number(bits & 0xffff_ffffn));
  return view.getFloat32(0);
}

/** Two lanes: equal, or both finite and near one another. */
function isNear(value: bigint, wanted: bigint): boolean {
  return [0n, 32n].every((shift) => {
    const [left, right] = [float32(value >> shift), float32(wanted >> shift)];
    if (((value >> shift) & 0xffff_ffffn) === ((wanted >> shift) & 0xffff_ffffn)) return true;
    return Math.abs(left - right) <= Math.abs(right) * APPROXIMATION_ERROR;
  });
}

/** Bits 19–16 of what LAR gives are undefined (Intel SDM 2A, "LAR"). */
const LAR_UNDEFINED = 0xf_0000n;

interface FieldPair {
  readonly name: string;
  readonly value: bigint;
  readonly wanted: bigint;
}

function agrees(form: Form, vector: Vector, { name, value, wanted }: FieldPair): boolean {
  if (value === wanted) return true;
  // Linux's return to the program clears what is left of a null selector (IRET does, SDM 2A).
  if (NULLED_ON_RETURN.test(name) && vector.source === 'hardware' && (value | wanted) < 4n)
    return true;
  const { mnemonic } = form.definition;
  if (vector.after.fields.has('exception')) return LOST_IN_FRAME.test(name);
  if (name === 'rflags') return ((value ^ wanted) & ~undefinedFlags(form, vector.setup)) === 0n;
  if (mnemonic === 'lar') return ((value ^ wanted) & ~LAR_UNDEFINED) === 0n;
  return APPROXIMATE.test(mnemonic) && name.startsWith('xmm') && isNear(value, wanted);
}

/** Byte 30 of an FXSAVE image: MXCSR_MASK has bit 17, misaligned exception mask, on AMD only. */
const isMisalignMask = (address: number): boolean => (address & 15) === 14;

function memoryText(memory: readonly MemoryBytes[]): string {
  return memory
    .map(({ address, bytes }) => `${address.toString(16)}=${Buffer.from(bytes).toString('hex')}`)
    .join(' ');
}

const IMAGE = worldImage();

/** What memory holds after the changes to what the case began with. */
function imageAfter(setup: Setup, changes: readonly MemoryBytes[]): Uint8Array {
  const image = IMAGE.slice();
  for (const { address, bytes } of [...setup.before.memory, ...changes]) image.set(bytes, address);
  return image;
}

function memoryAgrees(form: Form, vector: Vector, got: readonly MemoryBytes[]): boolean {
  if (memoryText(got) === memoryText(vector.after.memory)) return true;
  if (form.definition.mnemonic !== 'fxsave') return false;
  const wanted = imageAfter(vector.setup, vector.after.memory);
  const written = imageAfter(vector.setup, got);
  return wanted.every((byte, address) => written[address] === byte || isMisalignMask(address));
}

/** One line per field or piece of memory that is not as the vector says; none if all is well. */
export function differences(form: Form, vector: Vector, outcome: Outcome): string[] {
  const { setup, after } = vector;
  const expected = initialState(setup.mode, setup.seed, setup.before.fields);
  for (const [name, value] of after.fields) expected.set(name, value);
  const lines: string[] = [];
  for (const name of vector.source === 'manual' ? ALL_FIELDS : HARDWARE_FIELDS) {
    const [value, wanted] = [outcome.state.get(name) ?? 0n, expected.get(name) ?? 0n];
    if (!agrees(form, vector, { name, value, wanted }))
      lines.push(`${name} is ${value.toString(16)}, not ${wanted.toString(16)}`);
  }
  if (!memoryAgrees(form, vector, outcome.memory)) {
    const texts = [outcome.memory, after.memory].map((memory) => memoryText(memory) || 'unchanged');
    lines.push(`memory is ${texts[0] ?? ''}, not ${texts[1] ?? ''}`);
  }
  return lines;
}
