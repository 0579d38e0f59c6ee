/** The scripts that a user loads into gdb, run by the real gdb against a server in this process. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Machine } from '../../machine/index.ts';
import { DebuggerSeat } from '../../server/debugger-seat.ts';
import { formatAddress } from '../../server/listen-address.ts';
import { Listener } from '../../server/listener.ts';
import { PACKET_CHAPTERS } from '../../server/packets/index.ts';
import { PacketRegistry } from '../../server/packets/registry.ts';
import type { SessionLog } from '../../server/session-options.ts';
import { MachineTarget } from '../../server/target/machine-target.ts';
import { collect, gdbWith } from '../end-to-end/gdb.ts';
import { KERNEL_IMAGE } from '../server/fake-exo.ts';
import { missing } from '../tools.ts';

const quiet = (): void => undefined;
const SILENT: SessionLog = {
  trace: quiet,
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
};

let target: MachineTarget;
let listener: Listener;
let address: string;

beforeEach(async () => {
  const options = { image: KERNEL_IMAGE, imageName: 'kernel.elf' };
  target = new MachineTarget({ machine: new Machine(options), ...options });
  listener = await Listener.open(
    { kind: 'tcp', host: '127.0.0.1', port: 0 },
    {
      session: {
        target,
        registry: new PacketRegistry(PACKET_CHAPTERS),
        seat: new DebuggerSeat(),
        onDetach: 'halt',
        server: { name: 'exoscope', version: '0' },
      },
      allowRemote: false,
      logFor: () => SILENT,
    },
  );
  address = formatAddress(listener.address);
});

afterEach(async () => {
  target.dispose();
  await listener.dispose();
});

describe.skipIf(missing('gdb'))('break-fork.gdb', () => {
  const script = ['-nx', '-batch', '-x', 'gdb-scripts/break-fork.gdb'];

  it('stops at as many forks as it is told to, prints the capture, and detaches', async () => {
    const limit = ['-nx', '-batch', '-ex', 'set $exo_fork_limit = 2'];
    const { output, status } = await collect('gdb', [...limit, ...script.slice(2)], {
      EXOSCOPE: address,
    });
    expect(status, output).toBe(0);
    expect(output).toContain('=== sys_fork, stop 1 of 2: guest pid 2');
    expect(output).toContain('=== sys_fork, stop 2 of 2: guest pid 2');
    expect(output).not.toContain('stop 3');
    expect(output).toMatch(/captured {2}rbx [0-9a-f]{16} {2}rbp [0-9a-f]{16}/);
    expect(output).toMatch(/returns to 0x[0-9a-f]{16} <syscall_dispatch\+\d+>/);
    expect(output).toMatch(/rsp\+0 +0x\w+ <syscall_dispatch\+\d+> {2}after an indirect call/);
    expect(output).toMatch(/ 1 {2}fork {2}tid 2 pid 2 .* sound$/m);
    expect(output).toMatch(/ 2 {2}fork {2}tid 2 pid 2 .* open$/m);
    expect(output).toMatch(/\[Inferior 1 .*detached\]/);
    expect(target.state()).toMatchObject({ kind: 'halted' });
  });

  it('uses the connection that there is', async () => {
    const attach = ['-ex', `target remote ${address}`, '-ex', 'set $exo_fork_limit = 1'];
    const { output } = await collect('gdb', ['-nx', '-batch', ...attach, ...script.slice(2)]);
    expect(output).toContain('stop 1 of 1');
  });
});

describe.skipIf(missing('gdb'))('exoscope-gdb.py', () => {
  const load = ['-x', 'gdb-scripts/exoscope-gdb.py'];

  it('shows threads, forks, processes and return addresses', async () => {
    const { printed } = await gdbWith(
      load,
      `target remote ${address}`,
      'exo break-fork',
      'continue',
      'exo threads',
      'exo processes',
      'exo forks',
      'exo forks 1',
      'exo retaddr',
      'exo retaddr $rsp+8',
      'exo retaddr all',
      'exo serial 1',
      'help exo',
    );
    const [, , stop, threads, processes, forks, fork, retaddr, above, all, serial, help] = printed;
    expect(stop).toMatch(/fork by pid 2: rbx [0-9a-f]{16} .*rsp [0-9a-f]{16}\nreturns to /);
    expect(threads).toMatch(/^\* +2 +2 +test-runner +running/m);
    expect(processes).toMatch(/test-runner +alive/);
    expect(forks).toMatch(/ 1 {2}fork {2}tid 2 pid 2 +- .* open$/m);
    expect(fork).toContain('verdict: no record');
    expect(retaddr).toMatch(/^tid 2 "test-runner"/);
    expect(above).toMatch(/^from 0xffffff00/);
    expect(all?.match(/^tid /gm)?.length).toBeGreaterThan(2);
    expect(serial).toContain('[TEST]');
    expect(help).toContain('exo threads');
  });

  it('selects a thread by its tid and refuses what is none', async () => {
    const { printed, everything } = await gdbWith(
      load,
      `target remote ${address}`,
      'break sys_fork',
      'continue',
      'exo thread 1',
      'bt 1',
      'exo thread 77',
      'exo thread x',
    );
    const [, , , selected, backtrace] = printed;
    expect(selected).toContain('Thread 1.2');
    expect(backtrace).toContain('context_switch');
    expect(everything).toContain('no thread has tid 77');
    expect(everything).toContain('usage: exo thread TID');
  });

  it('prints the structures of the kernel in a line each', async () => {
    const { printed } = await gdbWith(
      load,
      `target remote ${address}`,
      'break fork_ring_record',
      'continue',
      'finish',
      'print *thread_list',
      'print thread_list->context',
      'print *process_list',
      'print fork_ring[0]',
      'print/r thread_list->context.rax',
    );
    const [, , , , thread, context, process, record, raw] = printed;
    expect(thread).toMatch(/= tid 0 pid 0 "idle" THREAD_READY, saved rip 0x\w+ <context_switch/);
    expect(context).toMatch(/= rip=0x\w+ <context_switch\+\d+> rsp=0x\w+ = \{rax = 0x[0-9a-f]{16}/);
    expect(process).toMatch(/= pid 0 ppid 0 "kernel" PROCESS_ALIVE, exit status 0/);
    expect(record).toMatch(/= fork 0: tid 2 -> tid 3, returns to 0x\w+ <syscall_dispatch\+\d+>/);
    expect(raw).toMatch(/= \d+/);
  });

  it('resets the machine from any thread, and gdb knows of it', async () => {
    const { printed, everything } = await gdbWith(
      load,
      `target remote ${address}`,
      'break sys_fork',
      'continue',
      'exo reset',
      'info threads',
      'continue',
    );
    const [, , , reset, threads, again] = printed;
    expect(reset).toMatch(/the machine was reset\n#0 +multiboot_entry/);
    expect(threads).toMatch(/^\* 1 +Thread 1\.1 "CPU"/m);
    expect(again).toContain('hit Breakpoint 2, sys_fork');
    expect(everything).not.toMatch(/Error|failure/);
  });
});

describe.skipIf(missing('gdb'))('exoscope-plain.gdb', () => {
  it('does the same without Python', async () => {
    const { printed } = await gdbWith(
      ['-x', 'gdb-scripts/exoscope-plain.gdb'],
      `target remote ${address}`,
      'break sys_fork',
      'continue',
      'exo-threads',
      'exo-forks',
      'exo-forks 1',
      'exo-retaddr all',
      'exo-processes',
      'exo-serial 1',
      'exo-reset',
      'continue',
    );
    const [, , , threads, forks, fork, retaddr, processes, serial, reset, again] = printed;
    expect(threads).toMatch(/test-runner +running/);
    expect(forks).toMatch(/ open$/m);
    expect(fork).toContain('verdict:');
    expect(retaddr).toMatch(/^tid 1 "init"/m);
    expect(processes).toContain('init');
    expect(serial).toContain('[TEST]');
    expect(reset).toMatch(/#0 +multiboot_entry/);
    expect(again).toContain('hit Breakpoint 2, sys_fork');
  });
});

describe.skipIf(missing('gdb'))('the line that monitor reset tells to type', () => {
  it('makes gdb see the reset machine', async () => {
    const first = await gdbWith(
      [],
      `target remote ${address}`,
      'break sys_fork',
      'continue',
      'monitor reset',
      'thread 1',
      'maint flush dcache',
      'maint flush register-cache',
      'print $pc',
      'info threads',
    );
    expect(first.printed[3]).toMatch(
      /type: thread 1, then maint flush dcache, then maint flush register-cache\n$/,
    );
    expect(first.printed[7]).toContain('multiboot_entry');
  });
});
