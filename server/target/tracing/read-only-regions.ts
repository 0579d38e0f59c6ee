/** What of an image the kernel does not write to: code and constants. */
import { SEGMENT_TYPE, type ElfFile } from '../../symbols/elf-file.ts';

/** Linear addresses, ends excluded; none without an ELF. */
export function readOnlyRegions(
  elf: ElfFile | undefined,
): readonly { readonly start: bigint; readonly end: bigint }[] {
  const segments = elf?.segments ?? [];
  return segments
    .filter(({ type, isWritable }) => type === SEGMENT_TYPE.load && !isWritable)
    .map(({ address, memoryBytes }) => ({ start: address, end: address + memoryBytes }));
}
