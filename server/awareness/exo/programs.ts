/**
 * The user programs that an Exo kernel carries inside its image, between the symbols
 * program_NAME_start and program_NAME_end (kernel/src/fs/tmpfs.c puts them into the tmpfs at boot).
 */
import { type ElfFile, readLoaded } from '../../symbols/elf-file.ts';
import type { SymbolTable } from '../../symbols/symbol-table.ts';
import type { GuestProgram } from '../awareness.ts';

const NAMES = ['hello', 'tests', 'protection', 'worker', 'console'];
const MAXIMUM_BYTES = 16n << 20n;

/** Those of the known programs that the image has; none in a stripped one. */
export function embeddedPrograms(file: ElfFile, symbols: SymbolTable): GuestProgram[] {
  return NAMES.flatMap((name) => {
    const start = symbols.find(`program_${name}_start`)?.address;
    const end = symbols.find(`program_${name}_end`)?.address;
    if (start === undefined || end === undefined) return [];
    if (end <= start || end - start > MAXIMUM_BYTES) return [];
    const folder = name === 'hello' ? '/tmp' : '/bin';
    const content = readLoaded(file, start, Number(end - start));
    return [{ path: `${folder}/${name}.elf`, content }];
  });
}
