/** What vFile reaches: the offered files, /proc of the guest, and nothing of the host. */
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MachineTarget } from '../../../server/target/machine-target.ts';
import { mapsText, smapsText, statText, statusText } from '../../../server/target/proc-texts.ts';
import { SessionHarness } from '../../session-harness.ts';
import { FakeExo, KERNEL_IMAGE, KERNEL_PATH } from '../fake-exo.ts';
import { FakeMachine } from '../fake-machine.ts';

const NO_SUCH_FILE = 'F-1,2';
const NO_PERMISSION = 'F-1,d';

let exo: FakeExo;
let harness: SessionHarness<MachineTarget>;
let folder: string;

const hexOf = (text: string): string => Buffer.from(text, 'utf8').toString('hex');
const open = (path: string, flags = 0) => harness.ask(`vFile:open:${hexOf(path)},${flags},0`);
const readLink = (path: string) => harness.ask(`vFile:readlink:${hexOf(path)}`);

async function read(path: string): Promise<string> {
  const descriptor = /^F([0-9a-f]+)$/.exec(await open(path))?.[1];
  if (descriptor === undefined) throw new Error(`${path} cannot be opened`);
  const answer = await harness.ask(`vFile:pread:${descriptor},10000,0`);
  await harness.ask(`vFile:close:${descriptor}`);
  return answer.slice(answer.indexOf(';') + 1);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'exoscope-'));
  symlinkSync('/etc/passwd', join(folder, 'link'));
  symlinkSync(KERNEL_PATH, join(folder, 'kernel.elf'));
});
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(() => {
  exo = new FakeExo();
  exo.setThreads([{ tid: 0 }, { tid: 3 }]);
  exo.setCurrent(0);
  const target = new MachineTarget({
    machine: exo.machine,
    image: KERNEL_IMAGE,
    imageName: KERNEL_PATH,
  });
  harness = new SessionHarness({ target });
});

describe('vFile reaches nothing of the host', () => {
  const HOST_PATHS = [
    '/etc/passwd', '../../etc/passwd', '/boot/../etc/passwd', '/boot/../../../../etc/passwd',
    '/proc/1/../../etc/passwd', '/proc/1/root/etc/passwd', '/proc/1/cwd/etc/passwd',
    '/dev/zero', '/dev/null', '/dev/mem', '/dev/stdin', '/dev/fd/0', '/dev/tty',
    '/proc/self/maps', '/proc/self/mem', '/proc/self/environ', '/proc/thread-self/maps',
    '/proc/1/mem', '/proc/1/environ', '/proc/1/fd/0', '/proc/1/task/1/maps', '/proc/1', '/proc/',
    `/proc/${process.pid}/maps`, `/proc/${process.pid}/exe`,
    KERNEL_PATH, join(import.meta.dirname, '../../../README.md'), 'README.md', 'package.json',
    '', '/', '.', '..', '/boot', '/boot/', '/tmp', '~', 'file:///etc/passwd', '//etc/passwd',
  ]; // prettier-ignore

  it.each(HOST_PATHS)('"%s" is ENOENT, opened or as a link', async (path) => {
    expect(await open(path)).toBe(NO_SUCH_FILE);
    expect(await readLink(path)).toBe(NO_SUCH_FILE);
    expect(await open(path, 1)).toBe(NO_PERMISSION);
  });

  it('not through links, whether they lead to a file that is offered or not', async () => {
    for (const name of ['link', 'kernel.elf']) {
      expect(await open(join(folder, name))).toBe(NO_SUCH_FILE);
      expect(await readLink(join(folder, name))).toBe(NO_SUCH_FILE);
    }
  });

  it.each([
    '/boot/kernel.elf/', '/boot//kernel.elf', '/boot/./kernel.elf', 'boot/kernel.elf',
    '/boot/../boot/kernel.elf', '/boot/kernel.elf\0', '/boot/kernel.elf\0/../../etc/passwd',
    '/BOOT/kernel.elf', ' /boot/kernel.elf', '/boot/kernel.elf\n', '/proc/01/maps', '/proc/0x1/maps',
    '/proc/1/maps/', '/proc//1/maps', '/proc/1//maps', '/proc/-1/maps', '/proc/1/maps\n', '/proc/0/maps',
    '/proc/99999999999999999999/maps', '/proc/4294967295/maps', '/proc/77/maps',
    '__proto__', 'constructor', '/proc/1/constructor', '/proc/1/toString',
  ])('"%s" is no other name of an offered file', async (path) => {
    expect(await open(path)).toBe(NO_SUCH_FILE);
    expect(await readLink(path)).toBe(NO_SUCH_FILE);
  }); // prettier-ignore

  it('offered files are read-only, and no packet writes, makes or removes one', async () => {
    for (const flags of [1, 2, 3])
      expect(await open('/boot/kernel.elf', flags)).toBe(NO_PERMISSION);
    expect(await open('/boot/kernel.elf')).toBe('F3');
    for (const packet of ['vFile:pwrite:3,0,61', `vFile:unlink:${hexOf('/boot/kernel.elf')}`]) {
      expect(await harness.ask(packet)).toBe('');
    }
  });

  it('a file that is there but no link is EINVAL for readlink', async () => {
    expect(await readLink('/boot/kernel.elf')).toBe('F-1,16');
    expect(await readLink('/proc/1/maps')).toBe('F-1,16');
  });
});

describe('/proc of the guest', () => {
  it('has the machine as process 1 while the guest has none', async () => {
    expect(await read('/proc/1/cmdline')).toBe('/boot/kernel.elf\0');
    expect(await read('/proc/1/comm')).toMatch(/^Exo/);
    expect(await readLink('/proc/1/exe')).toBe('F10;/boot/kernel.elf');
    expect(await readLink('/proc/1/cwd')).toBe('F1;/');
    expect(await read('/proc/1/status')).toMatch(
      /^Name:\tExo.*\nState:\tR .*\n(.*\n)*Threads:\t2\n/,
    );
    expect((await read('/proc/1/stat')).trimEnd().split(' ').length).toBeGreaterThanOrEqual(52);
  });

  it('shows the regions of the page tables in force, by name where they are known', async () => {
    const maps = (await read('/proc/1/maps')).trimEnd().split('\n');
    expect(maps.length).toBeGreaterThan(0);
    for (const line of maps) {
      expect(line).toMatch(/^[0-9a-f]{8,16}-[0-9a-f]{8,16} r[w-][x-]p [0-9a-f]{8,} 00:00 0 /);
    }
    expect(maps.join('\n')).toContain('[kernel stack of tid 0]');
  });

  it('is of one instant: what was opened does not change while it is read', async () => {
    expect(await open('/proc/1/status')).toBe('F3');
    exo.setThreads([{ tid: 0 }]);
    expect(await harness.ask('vFile:pread:3,1000,0')).toContain('Threads:\t2');
    expect(await read('/proc/1/status')).toContain('Threads:\t1');
  });
});

describe('the texts below /proc', () => {
  const page = (linear: bigint, rights = {}) =>
    ({ linear, physical: 0n, lengthBytes: 0x1000, ...rights }) as const;
  const machine = new FakeMachine();
  const maps = (...landmarks: Parameters<typeof mapsText>[2]): string[] =>
    mapsText(machine, undefined, landmarks).trimEnd().split('\n');

  beforeEach(() => {
    machine.mappingWalkEnd = 'complete';
  });

  it('merge neighbours with equal rights and name what lies in a file with its offset', () => {
    machine.tables.set(undefined, [
      page(0x1000n, { isUser: true, isWritable: false }),
      page(0x2000n, { isUser: true, isWritable: false }),
      page(0x3000n, { isUser: true, isNoExecute: true }),
      page(0xffff_ffff_ffff_f000n),
    ]);
    const place = { start: 0x1000n, end: 0x2800n, name: '/bin/x', fileOffset: 0x200n };
    const lines = maps(place).map((line) => line.replace(/ +/g, ' '));
    expect(lines).toEqual([
      '00001000-00003000 r-xp 00000200 00:00 0 /bin/x',
      '00003000-00004000 rw-p 00000000 00:00 0',
      'fffffffffffff000-ffffffffffffffff rwxp 00000000 00:00 0 [kernel]',
    ]);
  });

  it('end with a word when there is more, and are bounded', () => {
    machine.tables.set(
      undefined,
      Array.from({ length: 70_000 }, (_, index) => page(BigInt(index) * 0x2000n)),
    );
    const lines = maps();
    expect(lines).toHaveLength(65_537);
    expect(lines.at(-1)).toContain('[cut: there is more]');
    machine.tables.set(undefined, [page(0x1000n)]);
    machine.mappingWalkEnd = 'cut';
    expect(maps().at(-1)).toMatch(/^00002000-00002000 ---- .*\[cut: there is more\]$/);
  });

  describe('for gdb to write a core file', () => {
    const MIB = 1 << 20;
    const direct = 0xffff_8000_0000_0000n;
    const map = { linear: direct, physical: 0n, lengthBytes: 16 * MIB, isNoExecute: true };
    /** Start, offset of the end, and flags of each region; the fields between are checked in one place. */
    const regions = (...landmarks: Parameters<typeof smapsText>[2]) =>
      Array.from(
        smapsText(used, undefined, landmarks).matchAll(
          /^(\w+)-(\w+) .*\n(?:.*\n){3}VmFlags: (.*)$/gm,
        ),
        ([, start, end, flags]) => [`0x${start!}`, Number(BigInt(`0x${end!}`) - direct), flags],
      );
    let used: FakeMachine;

    beforeEach(() => {
      used = new FakeMachine(8 * MIB);
      used.tables.set(undefined, [map]);
      used.ram[MIB] = 1;
      used.ram[MIB + 0x8000] = 1;
      used.ram[2 * MIB] = 1;
    });

    it('take the RAM in use and small zeros in it, and mark the others and what is no RAM', () => {
      expect(regions()).toEqual([
        ['0xffff800000000000', 0x1000, 'rd wr'],
        ['0xffff800000001000', MIB - 0x1000, 'rd wr dd'],
        ['0xffff8000000ff000', MIB + 0xa000, 'rd wr'],
        ['0xffff80000010a000', 2 * MIB - 0x1000, 'rd wr dd'],
        ['0xffff8000001ff000', 2 * MIB + 0x2000, 'rd wr'],
        ['0xffff800000202000', 8 * MIB - 0x1000, 'rd wr dd'],
        ['0xffff8000007ff000', 8 * MIB, 'rd wr'],
        ['0xffff800000800000', 16 * MIB, 'rd wr io'],
      ]);
      expect(smapsText(used, undefined, [])).toContain(
        'Size: 44 kB\nRss: 44 kB\nAnonymous: 44 kB\nVmFlags: rd wr\n',
      );
      expect(smapsText(used, undefined, [])).toContain('Rss: 0 kB\nAnonymous: 1016 kB\n');
    });

    it("take zeros in a program's segments and in stacks, too", () => {
      const start = direct + BigInt(MIB / 2) + 0x123n;
      const bss = { start, end: start + 0x2_0000n, name: 'x', fileOffset: 0n };
      expect(regions(bss).slice(1, 4)).toEqual([
        ['0xffff800000001000', MIB / 2, 'rd wr dd'],
        ['0xffff800000080000', MIB / 2 + 0x2_1000, 'rd wr'],
        ['0xffff8000000a1000', MIB - 0x1000, 'rd wr dd'],
      ]);
    });

    it('follow scattered frames in the order of their linear addresses', () => {
      const pages = [5, MIB / 4096, 900, 2 * (MIB / 4096)].map((frame, index) => ({
        linear: direct + BigInt(index) * 0x1000n,
        physical: BigInt(frame) * 0x1000n,
        lengthBytes: 0x1000,
      }));
      used.tables.set(undefined, pages);
      expect(regions()).toEqual([['0xffff800000000000', 0x4000, 'rd wr ex']]);
    });

    it('are all of RAM while paging is off', () => {
      used.registers.set('cr0', 0x11n);
      expect(smapsText(used, undefined, [])).toMatch(
        /^00000000-00001000 rwxp .*\[kernel\]\n[^]*\n007ff000-00800000 rwxp .*\[kernel\]\n/,
      );
      expect(mapsText(used, undefined, [])).toMatch(/^00000000-00800000 rwxp .*\[kernel\]\n$/);
    });

    it('are bounded, whatever tables map the same fragments over and over', () => {
      for (let at = 0; at < 8 * MIB; at += 0x2_0000) used.ram[at] = 1;
      const aliases = Array.from({ length: 20_000 }, (_, index) => ({
        ...map,
        linear: BigInt(index) << 30n,
      }));
      used.tables.set(undefined, aliases);
      const text = smapsText(used, undefined, []);
      expect(text.match(/^VmFlags/gm)).toHaveLength(16_384);
      expect(text.trimEnd().split('\n').at(-1)).toContain('[cut: there is more]');
    });
  });

  it('do not let a name of the guest forge a line', () => {
    const process = { pid: 7, parentPid: 1, state: 'zombie', startTick: 5n, threads: 0 };
    const name = 'a\nPid:\t1) R';
    expect(statusText({ ...process, name }).split('\n')).toHaveLength(7);
    expect(statText({ ...process, name })).toMatch(/^7 \(a\?Pid:\?1\) R\) Z 1 /);
  });
});
