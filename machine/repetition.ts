/**
 * A repeated string instruction at a breakpoint: control comes there once, not before each element, as the
 * CPU keeps RF set between them (Intel SDM 3B §17.3.1.1). A slice, an event or a compilation may end
 * a run between any two elements, and what follows goes on with the same instruction.
 */
import type { CpuState } from './state/fields.ts';

/** Operand and address size, LOCK and the segments. */
const PREFIXES = new Set([0x66, 0x67, 0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]);
/** INS, OUTS, MOVS, CMPS, STOS, LODS, SCAS. */
const STRINGS = new Set([
  0x6c, 0x6d, 0x6e, 0x6f, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
]); // prettier-ignore
export const LONGEST_INSTRUCTION = 15;

export class Repetition {
  /** Where an instruction with a breakpoint was begun. */
  private begun:
    { readonly rip: bigint; readonly icount: bigint; readonly count: bigint } | undefined;

  reset(): void {
    this.begun = undefined;
  }

  /** The breakpoint at rip has been told or passed: what stands there is executed now. */
  begin({ rip, icount, rcx }: CpuState): void {
    this.begun = { rip, icount, count: rcx };
  }

  /** Whether all that has retired since are elements of the instruction at rip, which has more to come. */
  goesOn({ rip, icount, rcx }: CpuState, instruction: () => Uint8Array): boolean {
    const { begun } = this;
    if (begun?.rip !== rip || icount <= begun.icount) return false;
    // Each element retires and counts down by one.
    return begun.count - rcx === icount - begun.icount && isRepeatedString(instruction());
  }
}

function isRepeatedString(bytes: Uint8Array): boolean {
  let isRepeated = false;
  for (const byte of bytes) {
    if (STRINGS.has(byte)) return isRepeated;
    const isRex = (byte & 0xf0) === 0x40;
    if (byte === 0xf2 || byte === 0xf3) isRepeated = true;
    else if (!isRex && !PREFIXES.has(byte)) return false;
  }
  return false;
}
