/** Tracepoints as a user of gdb meets them, with the real gdb: define, run, look, save. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { gdb, gdbWith } from './gdb.ts';
import { ServerProcess } from './server-process.ts';

const BENCH = 'kernel/images/bench.elf';
const LIMIT_MS = 60_000;

describe.skipIf(missing('gdb'))('tracepoints with gdb', () => {
  let server: ServerProcess;
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'exoscope-trace-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  // A new one for each: tracepoints stay when their debugger leaves, and the next one uploads them.
  beforeEach(async () => {
    server = await ServerProcess.start(BENCH, '--append', 'spin');
    await server.serial('bench spin');
  }, LIMIT_MS);
  afterEach(() => server.stop());

  /** Commands that go on over several lines need a file. */
  const script = (...lines: string[]): string => {
    const path = join(folder, 'commands.gdb');
    writeFileSync(path, `${lines.join('\n')}\n`);
    return `source ${path}`;
  };
  /** What the commands printed, by the command; the nth time that it was given, from 0. */
  const run = async (...commands: string[]) => {
    const { printed, everything } = await gdb(...commands);
    return (command: string, time = 0): string => {
      const places = commands.flatMap((text, index) => (text === command ? [index] : []));
      const text = printed[places[time] ?? -1];
      if (text === undefined) throw new Error(`${command} was not given: ${everything}`);
      return text;
    };
  };
  const attach = (): string => `target remote ${server.address}`;
  const traceHot = (...actions: string[]): string =>
    script('trace bench_hot', 'actions', ...actions, 'end');
  const runOn = (count: number): string[] => [
    `eval "tbreak *((char*)bench_hot + 7) if bench_counter == %lu", bench_counter + ${count}`,
    'continue',
  ];

  it(
    'collects while the guest runs, and shows each moment as it was',
    async () => {
      const said = await run(
        attach(),
        'set $start = bench_counter',
        traceHot('collect $regs,$args,*(unsigned char(*)[64])$rsp,bench_counter'),
        'tstart',
        'tstatus',
        ...runOn(20),
        'tstop',
        'tstatus',
        'tfind start',
        'tdump',
        'bt',
        'p bench_counter - $start',
        'tfind',
        'p bench_counter - $start',
        'tfind pc bench_hot',
        'x/1gx $rsp',
        'p $icount > 0 && $cpl == 0 && $ret_rsp == *(long*)$rsp',
        'tfind none',
        'p bench_counter - $start >= 20',
        'info tracepoints',
      );
      expect(said('tstatus')).toContain('Trace is running on the target');
      expect(said('tstatus')).toContain('Collected 0 trace frames');
      expect(said('tstatus', 1)).toMatch(/Collected (19|20|21) trace frames/);
      expect(said('tfind start')).toContain('Found trace frame 0, tracepoint 1');
      expect(said('tdump')).toMatch(/rip\s+0x[0-9a-f]+\s+0x[0-9a-f]+ <bench_hot>/);
      expect(said('tdump')).toMatch(/bench_counter = \d+/);
      expect(said('bt')).toMatch(/#0 {2}bench_hot \(\).*\n#1 .* in bench_spin \(\)/);
      expect(said('p bench_counter - $start')).toMatch(/= [01]$/m);
      expect(said('tfind')).toContain('Found trace frame 1');
      expect(said('p bench_counter - $start', 1)).toMatch(/= [12]$/m);
      expect(said('tfind pc bench_hot')).toContain('Found trace frame 2');
      expect(said('x/1gx $rsp')).toMatch(/0x[0-9a-f]{16}/);
      expect(said('p $icount > 0 && $cpl == 0 && $ret_rsp == *(long*)$rsp')).toContain('= 1');
      expect(said('p bench_counter - $start >= 20')).toContain('= 1');
      const tracepoints = said('info tracepoints');
      expect(tracepoints).toMatch(/already hit (19|20|21) times[^]*buffer usage \d+ bytes/);
    },
    LIMIT_MS,
  );

  it(
    'collects where a condition holds, counts in a trace state variable, ends at its pass count',
    async () => {
      const said = await run(
        attach(),
        'tvariable $seen = 40',
        script(
          'trace bench_hot if bench_counter % 10 == 3',
          'actions',
          'collect bench_counter',
          'teval $seen = $seen + 1',
          'end',
          'passcount 5',
        ),
        'tstart',
        ...runOn(1000),
        'tstatus',
        'p $seen',
        'tfind 4',
        'p bench_counter % 10',
        'p $rip',
        'p $rax',
        'tfind',
      );
      expect(said('tstatus')).toContain('Trace stopped by tracepoint 1');
      expect(said('tstatus')).toContain('Collected 5 trace frames');
      expect(said('p $seen')).toContain('= 45');
      expect(said('p bench_counter % 10')).toContain('= 3');
      expect(said('p $rip')).toContain('<bench_hot>');
      expect(said('p $rax')).toContain('<unavailable>');
      expect(said('tfind')).toMatch(/failed to find|No trace frame found/);
    },
    LIMIT_MS,
  );

  it(
    'goes on without its debugger when told to, with a circular buffer of a given size',
    async () => {
      const first = await gdb(
        attach(),
        'set disconnected-tracing on',
        'set circular-trace-buffer on',
        'set trace-buffer-size 200000',
        'set trace-user somebody',
        'set trace-notes of bench_hot',
        traceHot('collect $regs'),
        'tstart',
      );
      expect(first.everything).not.toMatch(/does not support|error/i);
      await new Promise((resolve) => setTimeout(resolve, 500));
      const said = await run(attach(), 'tstatus', 'tstop', 'tstatus', 'tfind 0', 'p $rip');
      expect(said(attach())).toMatch(/Created tracepoint 1 for target's tracepoint 1/);
      expect(said('tstatus')).toContain('Trace is running on the target');
      expect(said('tstatus')).toContain('somebody');
      expect(said('tstatus', 1)).toMatch(/Buffer contains \d+ trace frames \(of \d{3,} created/);
      expect(said('tfind 0')).toContain('Found trace frame 0');
      expect(said('p $rip')).toContain('<bench_hot>');
    },
    LIMIT_MS,
  );

  it(
    'ends the trace when its debugger leaves, else',
    async () => {
      await gdb(
        attach(),
        'set disconnected-tracing off',
        'set circular-trace-buffer on',
        traceHot('collect $regs'),
        'tstart',
      );
      const said = await run(attach(), 'tstatus');
      expect(said('tstatus')).toContain('Trace stopped because of disconnection');
    },
    LIMIT_MS,
  );

  it(
    'is saved to a file by tsave, which gdb reads without the server',
    async () => {
      const file = join(folder, 'saved.tf');
      const said = await run(
        attach(),
        traceHot('collect $regs,*(unsigned char(*)[64])$rsp,bench_counter'),
        'tstart',
        ...runOn(30),
        'tstop',
        'tfind 7',
        'p bench_counter',
        `tsave ${file}`,
      );
      const value = /= (\d+)/.exec(said('p bench_counter'))![1]!;
      const { printed } = await gdbWith(
        [BENCH],
        `target tfile ${file}`,
        'tfind 7',
        'p bench_counter',
        'bt 2',
      );
      expect(printed[1]).toContain('Found trace frame 7');
      expect(printed[2]).toContain(`= ${value}`);
      expect(printed[3]).toMatch(/#0 {2}bench_hot \(\).*\n#1 .* in bench_spin/);
    },
    LIMIT_MS,
  );

  it(
    'is saved well by a gdb that has not asked for the registers yet, in both forms',
    async () => {
      const file = join(folder, 'early');
      await run(attach(), traceHot('collect $regs,bench_counter'), 'tstart', ...runOn(30), 'tstop');
      await run(attach(), `tsave ${file}.tf`, `tsave -ctf ${file}.ctf`);
      for (const kind of ['tf', 'ctf']) {
        const { printed } = await gdbWith(
          [BENCH],
          `target ${kind === 'tf' ? 'tfile' : 'ctf'} ${file}.${kind}`,
          'tfind 7',
          'p (long)$rip == (long)bench_hot && (long)$rsp != 0',
        );
        expect(printed[1]).toContain('Found trace frame 7');
        expect(printed[2]).toContain('= 1');
      }
    },
    LIMIT_MS,
  );

  it(
    'gives trace state variables to the next gdb in the order of their numbers',
    async () => {
      const names = ['first', 'second', 'third'];
      const defined = names.map((name, index) => `tvariable $${name} = ${index}`);
      await run(attach(), ...defined, traceHot('teval $first = $third'), 'tstart', 'tstop');
      const said = await run(attach(), 'info tvariables');
      expect(said('info tvariables')).toMatch(/\$first .*\n\$second .*\n\$third /);
    },
    LIMIT_MS,
  );

  it(
    'leaves the guest alone in a frame, and refuses fast tracepoints in words',
    async () => {
      const said = await run(
        attach(),
        traceHot('collect $regs'),
        'tstart',
        ...runOn(10),
        'tstop',
        'tfind 0',
        'set var $rax = 1',
        'tfind none',
        'maintenance packet QTDP:5:1000:E:0:0:F5',
      );
      expect(said('set var $rax = 1')).toMatch(/error|failed|Could not/i);
      const refused = said('maintenance packet QTDP:5:1000:E:0:0:F5');
      expect(refused).toContain('E.fast tracepoints are not offered');
    },
    LIMIT_MS,
  );

  it(
    'follows the CPU while stepping',
    async () => {
      const said = await run(
        attach(),
        traceHot('collect $regs', 'while-stepping 2', 'collect $regs,bench_counter', 'end'),
        'tstart',
        ...runOn(10),
        'tstop',
        'tfind 0',
        'p $rip',
        'tfind 1',
        'p $rip',
        'p bench_counter',
        'tfind 2',
        'p $rip',
        'tfind 3',
        'p $rip',
      );
      expect(said('p $rip', 0)).toContain('<bench_hot>');
      expect(said('p $rip', 1)).toMatch(/<bench_hot\+\d+>/);
      expect(said('p $rip', 2)).toMatch(/<bench_hot\+\d+>/);
      expect(said('p $rip', 3)).toContain('<bench_hot>');
      expect(said('p bench_counter')).toMatch(/= \d+/);
    },
    LIMIT_MS,
  );
});

describe.skipIf(missing('gdb'))('the tracepoint that is there before anybody attaches', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await ServerProcess.start('kernel/images/kernel.elf');
    await server.serial(/\[TEST\].*\n[^]*\[TEST\]/);
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }, LIMIT_MS);
  afterAll(() => server.stop());

  it(
    'shows the forks since boot, each with its registers, stack and process',
    async () => {
      const commands = [
        `target remote ${server.address}`,
        'tstatus',
        'info tracepoints',
        'tfind',
        'bt',
        'p $guest_pid',
        'p $rip == sys_fork && $ret_rsp == *(long*)$rsp',
        'x/i $rip',
        'tfind tracepoint 1',
        'tfind -1',
        'detach',
      ];
      const { printed } = await gdb(...commands);
      expect(printed[0]).toContain("Created tracepoint 1 for target's tracepoint 1");
      expect(printed[1]).toContain('its forks are traced whenever it runs');
      expect(printed[1]).toMatch(/Collected [1-9]\d* trace frames/);
      expect(printed[2]).toMatch(/in sys_fork at kernel\/src\/syscall\/handlers\/process\.c/);
      expect(printed[2]).toMatch(/collect \$regs/);
      expect(printed[3]).toContain('Found trace frame 0, tracepoint 1');
      expect(printed[4]).toMatch(/#0 {2}sys_fork \(\) at kernel/);
      expect(printed[4]).toMatch(/#\d+ .* syscall_dispatch/);
      expect(printed[4]).toMatch(/#\d+ .* thread_entry \(\)/);
      expect(printed[5]).toMatch(/= [1-9]\d*/);
      expect(printed[6]).toContain('= 1');
      expect(printed[7]).toMatch(/<sys_fork>:\s+mov/);
      expect(printed[8]).toContain('Found trace frame 1');
      // No question whether a trace that runs is to go on.
      expect(printed[10]).toMatch(/detached/);
      // Attaching again finds the same.
      const again = await gdb(...commands.slice(0, 4));
      expect(again.printed[3]).toContain('Found trace frame 0, tracepoint 1');
    },
    LIMIT_MS,
  );

  it(
    'gives way to a trace of the user, which takes it along',
    async () => {
      const { printed } = await gdb(`target remote ${server.address}`, 'tstart', 'tstatus');
      expect(printed[1]).not.toMatch(/error|warning/i);
      expect(printed[2]).toContain('Trace is running on the target');
    },
    LIMIT_MS,
  );
});
