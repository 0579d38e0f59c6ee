/** Where a machine stands, to be found again among tens of thousands of other spots. */
import type { Machine } from '../../machine/index.ts';
import type { SavedTranslations } from '../../machine/memory/saved-translations.ts';
import { stateText } from '../machine/time-travel/state-text.ts';

export interface Spot {
  readonly icount: bigint;
  readonly ticks: bigint;
  /** Where the next instruction lies in linear memory. */
  readonly linear: bigint;
  readonly rsp: bigint;
  /** The instructions retired and the registers, as one number. */
  readonly place: bigint;
  /** The place and the time. */
  readonly key: string;
}

const NAMES =
  'rip rflags rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 cs ss cr0 cr2 cr3 cr4'.split(
    ' ',
  );
/** FNV-1a, on words. */
const PRIME = 0x100_0000_01b3n;

const ACCESSED = 0x20;

/** An empty TLB, and nothing fetched. */
export const NO_TRANSLATIONS: SavedTranslations = {
  tlb: { filled: [], entries: [], large: [], huge: [] },
  fetches: { supervisor: [], user: [], large: [], huge: [] },
  codePages: [],
  watchHits: [],
};

const readersOf = new WeakMap<Machine, readonly (() => bigint)[]>();

function readers(machine: Machine): readonly (() => bigint)[] {
  const known = readersOf.get(machine);
  if (known !== undefined) return known;
  const made = NAMES.map((name) => machine.registerReader(name)!);
  readersOf.set(machine, made);
  return made;
}

export function spotOf(machine: Machine): Spot {
  const { icount, ticks } = machine;
  let place = BigInt.asUintN(64, icount * PRIME);
  for (const read of readers(machine)) place = BigInt.asUintN(64, (place ^ read()) * PRIME);
  const linear = BigInt.asUintN(
    64,
    machine.readRegister('cs_base')! + machine.readRegister('rip')!,
  );
  const rsp = machine.readRegister('rsp')!;
  return { icount, ticks, linear, rsp, place, key: `${icount} ${ticks} ${place}` };
}

/**
 * The whole state but the TLB and bit 5 of quadwords, which is the accessed bit of page tables: what is not
 * walked again differs where a debugger watches, steps or stops, and no guest here depends on it.
 */
export function textOf(machine: Machine): string {
  const { core, serial, pages } = machine.save();
  const masked = [...pages].map(({ numbers, bytes }) => ({ numbers, bytes: unaccessed(bytes) }));
  return stateText({ core: { ...core, translations: NO_TRANSLATIONS }, serial, pages: masked });
}

function unaccessed(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const words = new Uint32Array(copy.buffer);
  for (let index = 0; index < words.length; index += 2) words[index]! &= ~ACCESSED;
  return copy;
}
