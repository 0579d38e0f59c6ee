/** The kernel's file on the server's host, which lldb is told of that was given none. */
import { beforeEach, describe, expect, it } from 'vitest';
import { readElf } from '../../../server/symbols/elf-file.ts';
import { hostImage } from '../../../server/target/host-image.ts';
import { MachineTarget } from '../../../server/target/machine-target.ts';
import { SessionHarness } from '../../session-harness.ts';
import { FakeExo, KERNEL_IMAGE, KERNEL_PATH } from '../fake-exo.ts';

const LIST = 'qXfer:libraries:read::0,1ffff';
const OF_LLDB =
  'qSupported:xmlRegisters=i386,arm,mips,arc;multiprocess+;fork-events+;vfork-events+';
const OF_GDB = 'qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+';

function harnessOf(options: { readonly imagePath?: string }): SessionHarness<MachineTarget> {
  const { machine } = new FakeExo();
  const image = { image: KERNEL_IMAGE, imageName: KERNEL_PATH };
  return new SessionHarness({ target: new MachineTarget({ machine, ...image, ...options }) });
}

describe('the file of the kernel', () => {
  let harness: SessionHarness<MachineTarget>;
  beforeEach(() => (harness = harnessOf({ imagePath: KERNEL_PATH })));

  it('is told to lldb once: it would forget where the sections are', async () => {
    expect(await harness.ask(OF_LLDB)).toContain('qXfer:libraries:read+');
    await harness.ask('QThreadSuffixSupported');
    expect(await harness.ask('?')).toMatch(/;library:1;$/);
    const section = '<section address="0x100000"/>';
    expect(await harness.ask(LIST)).toContain(
      `<library name="${KERNEL_PATH}">${section}</library>`,
    );
    expect(await harness.ask(LIST)).toBe('l<library-list></library-list>\n');
    expect(await harness.ask('?')).not.toContain('library');
  });

  it('is not told to gdb', async () => {
    expect(await harness.ask(OF_GDB)).not.toContain('qXfer:libraries:read+');
    expect(await harness.ask('?')).not.toContain('library');
    expect(await harness.ask(LIST)).toBe('l<library-list></library-list>\n');
  });

  it('is not told of where there is none', async () => {
    harness = harnessOf({});
    expect(await harness.ask(OF_LLDB)).not.toContain('qXfer:libraries:read+');
    await harness.ask('QThreadSuffixSupported');
    expect(await harness.ask('?')).not.toContain('library');
    expect(await harness.ask(LIST)).toBe('');
    expect(await harness.ask('qShlibInfoAddr')).toBe('');
  });

  it('is not told of when it has no debug information', () => {
    const elf = readElf(KERNEL_IMAGE)!;
    const sections = elf.sections.filter(({ name }) => !name.startsWith('.debug'));
    expect(hostImage('kernel.elf', elf)?.address).toBe(0x10_0000n);
    expect(hostImage('kernel.elf', { ...elf, sections })).toBeUndefined();
    expect(hostImage('kernel.bin', undefined)).toBeUndefined();
  });
});
