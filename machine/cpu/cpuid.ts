/**
 * CPUID (Intel SDM 2A, "CPUID"; leaves 4000_0000h by the hypervisors' convention). It announces what this
 * machine does and nothing else. Vendor GenuineIntel, since kernels choose SYSCALL's and IRET's
 * quirks by it and ours are Intel's. One exception: FPU is announced although x87 instructions other than
 * FNINIT, FNSTCW, FNSTSW and FLDCW are #UD, because kernels refuse to use FXSR and SSE without it.
 */
import { TICKS_PER_SECOND } from '../clock/virtual-clock.ts';
import { PHYSICAL_ADDRESS_BITS } from '../memory/paging-format.ts';
import type { CpuState } from '../state/fields.ts';
import { isIn64BitMode } from './segment-attributes.ts';

export interface CpuidResult {
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

type Leaf = (state: CpuState, subleaf: number) => Partial<CpuidResult>;

/** Family 6, model 15, stepping 11: the first 64-bit Core, whose feature set is near ours. */
const SIGNATURE = 0x0000_06fb;

function bits(...numbers: number[]): number {
  return numbers.reduce((word, number) => word | (1 << number), 0) >>> 0;
}

const FEATURES_EDX = bits(
  0, // FPU
  2, // DE
  3, // PSE
  4, // TSC
  5, // MSR
  6, // PAE
  8, // CX8
  9, // APIC, unless it is turned off
  11, // SEP
  13, // PGE
  15, // CMOV
  16, // PAT
  17, // PSE-36
  19, // CLFSH
  24, // FXSR
  25, // SSE
  26, // SSE2
);

const APIC = bits(9);
const APIC_GLOBAL_ENABLE = 1n << 11n;

/** An APIC that IA32_APIC_BASE has turned off is not announced (Intel SDM 3A §11.4.3). */
function featuresEdx({ apicBase }: CpuState): number {
  return (apicBase & APIC_GLOBAL_ENABLE) === 0n ? FEATURES_EDX & ~APIC : FEATURES_EDX;
}

const FEATURES_ECX = bits(
  13, // CMPXCHG16B
  23, // POPCNT
  24, // TSC deadline
  31, // hypervisor
);

/** SMEP, SMAP. */
const STRUCTURED_EBX = bits(7, 20);

const EXTENDED_ECX = bits(0); // LAHF and SAHF in 64-bit mode
const EXTENDED_EDX = bits(20, 26, 27, 29); // NX, 1 GiB pages, RDTSCP, long mode
const EXTENDED_SYSCALL = bits(11); // in 64-bit mode only

const BRAND = 'Exoscope emulated x86-64 CPU'.padEnd(48, '\0');
const HYPERVISOR_VENDOR = 'Exoscope\0\0\0\0';
const LINEAR_ADDRESS_BITS = 48;

/** Four ASCII characters, the first in the low byte. */
function word(text: string, offset: number): number {
  let value = 0;
  for (let index = 3; index >= 0; index--) value = value * 256 + text.charCodeAt(offset + index);
  return value;
}

function brandLeaf(part: number): Leaf {
  const at = part * 16;
  return () => ({
    eax: word(BRAND, at),
    ebx: word(BRAND, at + 4),
    ecx: word(BRAND, at + 8),
    edx: word(BRAND, at + 12),
  });
}

const HIGHEST_BASIC = 0x16;
const HIGHEST_EXTENDED = 0x8000_0008;

/** What is not here, or not said, is 0. */
const LEAVES: ReadonlyMap<number, Leaf> = new Map<number, Leaf>([
  [0, () => ({ eax: HIGHEST_BASIC, ...vendor('GenuineIntel', 'ebx edx ecx') })],
  // EBX: CLFLUSH line of 8 quadwords, one logical processor, APIC id 0.
  [
    1,
    (state) => ({ eax: SIGNATURE, ebx: 0x0001_0800, ecx: FEATURES_ECX, edx: featuresEdx(state) }),
  ],
  [7, (_state, subleaf) => (subleaf === 0 ? { ebx: STRUCTURED_EBX } : {})],
  // TSC frequency = crystal × EBX / EAX; the crystal ticks once per virtual tick.
  [0x15, () => ({ eax: 1, ebx: 1, ecx: Number(TICKS_PER_SECOND) })],
  [0x16, () => ({ eax: Number(TICKS_PER_SECOND) / 1_000_000, ebx: 1000, ecx: 100 })],
  [0x4000_0000, () => ({ eax: 0x4000_0000, ...vendor(HYPERVISOR_VENDOR, 'ebx ecx edx') })],
  [0x8000_0000, () => ({ eax: HIGHEST_EXTENDED })],
  [
    0x8000_0001,
    (state) => ({
      ecx: EXTENDED_ECX,
      edx: EXTENDED_EDX | (isIn64BitMode(state) ? EXTENDED_SYSCALL : 0),
    }),
  ],
  [0x8000_0002, brandLeaf(0)],
  [0x8000_0003, brandLeaf(1)],
  [0x8000_0004, brandLeaf(2)],
  [0x8000_0007, () => ({ edx: bits(8) })], // invariant TSC
  [0x8000_0008, () => ({ eax: PHYSICAL_ADDRESS_BITS | (LINEAR_ADDRESS_BITS << 8) })],
]);

/** 32-bit results. A leaf beyond the highest gives that of the highest basic leaf, as Intel's do. */
export function cpuid(state: CpuState, leaf: number, subleaf: number): CpuidResult {
  const isHypervisor = leaf >= 0x4000_0000 && leaf <= 0x4000_00ff;
  const isExtended = leaf >= 0x8000_0000 && leaf <= HIGHEST_EXTENDED;
  const isKnown = leaf <= HIGHEST_BASIC || isHypervisor || isExtended;
  const result = LEAVES.get(isKnown ? leaf : HIGHEST_BASIC)?.(state, subleaf);
  return { eax: 0, ebx: 0, ecx: 0, edx: 0, ...result };
}

/** Twelve characters spread over three registers, in the order given. */
function vendor(text: string, registers: string): Partial<CpuidResult> {
  return Object.fromEntries(
    registers.split(' ').map((register, index) => [register, word(text, index * 4)]),
  );
}
