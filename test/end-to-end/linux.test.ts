/** Debian's Linux, as a distribution ships it: a bzImage, with an initrd of one program of ours. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readElf } from '../../server/symbols/elf-file.ts';
import { qemuArguments } from '../kernel/qemu.ts';
import { missing } from '../tools.ts';
import { freePort, Program, startProxy } from './before-qemu.ts';
import { gdbWith } from './gdb.ts';
import { vmlinuxPayload } from './linux-payload.ts';
import { MAIN, ROOT, ServerProcess } from './server-process.ts';

/** Where `.ci/run` puts it, and where a Debian has it. */
const FOLDERS = [join(ROOT, 'build/linux'), '/boot'];
const INIT = join(import.meta.dirname, 'linux-init.c');
const TIMEOUT_MS = 240_000;
/** `nokaslr`: a bzImage is then where its symbols say. */
const COMMAND_LINE = 'console=ttyS0 quiet panic=-1 nokaslr';

function findLinux(): string | undefined {
  const found = FOLDERS.filter((folder) => existsSync(folder)).flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.startsWith('vmlinuz-'))
      .map((name) => join(folder, name)),
  );
  if (found.length === 0) process.stderr.write(`tests skipped, no vmlinuz in ${FOLDERS.join()}\n`);
  return found[0];
}

/** One entry of an archive that Linux unpacks (Linux, driver-api/early-userspace/buffer-format.rst). */
function entry(name: string, mode: number, content: Uint8Array, device = [0, 0]): Buffer {
  const nameBytes = Buffer.from(`${name}\0`);
  const [major = 0, minor = 0] = device;
  const fields = [0, mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, nameBytes.length, 0];
  const digits = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  const head = padded(Buffer.concat([Buffer.from(`070701${digits}`), nameBytes]));
  return Buffer.concat([head, padded(content)]);
}

function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFCHR = 0o020000;

const linux = findLinux();

describe.skipIf(linux === undefined || missing('gcc', 'gdb'))('Linux', () => {
  let folder: string;
  let init: string;
  let initrd: string;
  let console: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'exoscope-'));
    init = join(folder, 'init');
    const flags = ['-g', '-O1', '-static', '-nostdlib', '-ffreestanding', '-fcf-protection=none'];
    execFileSync('gcc', [...flags, '-fno-stack-protector', '-o', init, INIT]);
    initrd = join(folder, 'initrd');
    const nothing = Buffer.alloc(0);
    const archive = [
      entry('proc', S_IFDIR | 0o555, nothing),
      entry('dev', S_IFDIR | 0o755, nothing),
      entry('dev/console', S_IFCHR | 0o600, nothing, [5, 1]),
      entry('init', S_IFREG | 0o755, readFileSync(init)),
      entry('TRAILER!!!', 0, nothing),
    ];
    writeFileSync(initrd, Buffer.concat(archive));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('boots, runs its first process and switches the PC off', { timeout: TIMEOUT_MS }, () => {
    const args = ['run', linux!, '--initrd', initrd, '--append', COMMAND_LINE];
    const { status, stdout } = spawnSync(process.execPath, [MAIN, ...args], {
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
    });
    console = stdout;
    expect(stdout).toMatch(/init: I am process 1\r\n[^]*init: computed\r\n/);
    expect(stdout).toMatch(/reboot: Power down/);
    expect(status).toBe(0);
  });

  it('stops for gdb in its first process', { timeout: TIMEOUT_MS }, async () => {
    const image = [linux!, '--initrd', initrd, '--append', COMMAND_LINE];
    const server = await ServerProcess.start(...image, '--wait');
    try {
      const { printed, everything } = await gdbWith(
        [init],
        `target remote ${server.address}`,
        'hbreak triangle if number == 100',
        'continue',
        'bt',
        'finish',
        'p $cpl',
        'continue',
      );
      expect(printed[2]).toMatch(/Breakpoint 1, triangle \(number=.*100\) at .*linux-init\.c:\d+/);
      expect(printed[3]).toMatch(/#0 {2}triangle \(number=.*100\).*\n#1 .* _start \(\)/);
      expect(printed[4]).toContain('Value returned is $1 = 5050');
      expect(printed[5]).toBe('$2 = 3\n');
      expect(everything).toMatch(/exited normally/);
    } finally {
      await server.stop();
    }
  });

  it(
    'shows its tasks and calls to gdb, of its vmlinux',
    { timeout: TIMEOUT_MS },
    async (context) => {
      const payload = vmlinuxPayload(readFileSync(linux!));
      if (payload === undefined) return context.skip('its vmlinux is not compressed with LZ4');
      const [vmlinux, map] = [join(folder, 'vmlinux'), join(folder, 'System.map')];
      writeFileSync(vmlinux, payload);
      writeFileSync(map, console.match(/^[0-9a-f]{16} \S \S+(?=\r)/gm)!.join('\n'));
      const image = [vmlinux, '--initrd', initrd, '--append', COMMAND_LINE, '--symbols', map];
      const server = await ServerProcess.start(...image, '--wait');
      try {
        const { printed } = await gdbWith(
          [init],
          `target remote ${server.address}`,
          'info threads',
          'hbreak triangle',
          'continue',
          'info threads',
          'thread 3',
          'monitor threads',
          'catch syscall write',
          'continue',
          'info os processes',
        );
        expect(printed[1]).toMatch(/\* 1 +Thread 1\.1 "CPU"/);
        expect(printed[4]).toMatch(/\* 2 +Thread 1\.2 "init" \(pid 1, running\) +triangle/);
        expect(printed[4]).toMatch(/ 3 +Thread 1\.3 "kthreadd" \(pid 2, sleeping\)/);
        expect(printed[6]).toMatch(
          / 2 +2 +kthreadd +sleeping +- +0x[0-9a-f]{16} <__schedule\+\d+>/,
        );
        expect(printed[8]).toMatch(/Thread 2 "init" hit Catchpoint 2 \(call to syscall write\)/);
        expect(printed[9]).toMatch(/^2 +0 +kernel +sleeping +- +kthreadd/m);
      } finally {
        await server.stop();
      }
    },
  );

  it('has the same tasks before QEMU, by the proxy', { timeout: TIMEOUT_MS }, async (context) => {
    if (!existsSync(join(folder, 'vmlinux')) || missing('qemu-system-x86_64', 'objcopy')) {
      return context.skip('there is no vmlinux, QEMU or objcopy');
    }
    const vmlinux = withSymbols(join(folder, 'vmlinux'), join(folder, 'System.map'));
    const port = await freePort();
    const boot = ['-kernel', linux!, '-initrd', initrd, '-append', COMMAND_LINE];
    const stub = ['-gdb', `tcp:127.0.0.1:${port}`, '-S'];
    const qemu = new Program('qemu-system-x86_64', qemuArguments([...boot, ...stub]));
    const { proxy, address } = await startProxy(port, '--image', vmlinux);
    try {
      const { printed } = await gdbWith(
        [init],
        `target remote ${address}`,
        'hbreak triangle',
        'continue',
        'info threads',
      );
      expect(printed[3]).toMatch(/\* 2 +Thread 1\.2 "init" \(pid 1, running\) +triangle/);
      expect(printed[3]).toMatch(/ 3 +Thread 1\.3 "kthreadd" \(pid 2, sleeping\)/);
    } finally {
      await proxy.end();
      await qemu.end('SIGKILL');
    }
  });
});

/** The image with the symbols of the list, each in its section; its path. */
function withSymbols(path: string, map: string): string {
  const sections = readElf(readFileSync(path))!.sections;
  const lines = readFileSync(map, 'utf8').trim().split('\n');
  const symbols = lines.flatMap((line) => {
    const [digits, type, name] = line.split(' ') as [string, string, string];
    const address = BigInt(`0x${digits}`);
    const section = sections.find(({ name: own, address: start, content }) => {
      const isInside = address >= start && address < start + BigInt(content.length);
      return isInside && (own === '.data..percpu') === (type.toLowerCase() === 'a') && own !== '';
    });
    if (section === undefined) return [];
    return ['--add-symbol', `${name}=${section.name}:${address - section.address},global`];
  });
  execFileSync('objcopy', [...symbols, path, `${path}.symbols`]);
  return `${path}.symbols`;
}
