/** gdb's `load`, which writes a file's sections to its load addresses and sets $pc to its entry. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inTemporaryFolder, kernelImage } from '../kernel/qemu.ts';
import { missing } from '../tools.ts';
import { gdbWith } from './gdb.ts';
import { servedKernel } from './served-kernel.ts';

const BANNER = 'Exo-OS 0.1';
const REBUILT = 'Exo-OS 9.9';

/** The example kernel with another banner. */
function rebuild(folder: string): string {
  const bytes = readFileSync(kernelImage);
  const at = bytes.indexOf(BANNER);
  bytes.write(REBUILT, at);
  const path = join(folder, 'rebuilt.elf');
  writeFileSync(path, bytes);
  return path;
}

describe.skipIf(missing('gdb'))('load', () => {
  const kernel = servedKernel();

  it('is refused where load addresses are not mapped: its $pc would be nowhere', () =>
    inTemporaryFolder(async (folder) => {
      const commands = [
        kernel.attach,
        'p $pc',
        'load',
        'p $pc',
        'compare-sections .rodata',
        'p $pc',
      ];
      const { printed, everything } = await gdbWith([rebuild(folder)], ...commands);
      expect(printed[2], everything).toContain('Load failed\n');
      expect(printed[3]!.replace('$2', '$1')).toBe(printed[1]);
      expect(printed[4]).toContain('MIS-MATCHED!');
    }));

  it('puts a rebuilt kernel into a machine that was reset, and that kernel boots', () =>
    inTemporaryFolder(async (folder) => {
      const { printed, everything } = await gdbWith(
        [rebuild(folder)],
        kernel.attach,
        'monitor reset',
        'maint flush register-cache',
        'p $pc',
        'load',
        'p $pc',
        'compare-sections',
        'tbreak idle',
        'continue',
        'monitor serial',
      );
      expect(printed[4], everything).toMatch(/Start address 0x0*10003d, load size \d+\n/);
      expect(printed[5]!.replace('$2', '$1')).toBe(printed[3]);
      expect(printed[6]).not.toContain('MIS-MATCHED');
      expect(printed[8]).toContain('Thread 1 "idle" hit Temporary breakpoint');
      expect(printed[9]).toContain(REBUILT);
    }));
});
