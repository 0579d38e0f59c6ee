/** Back in time with the real gdb: `reverse-stepi`, `-continue`, `-next`, `-finish`, and forward again. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { gdb } from './gdb.ts';
import { ServerProcess } from './server-process.ts';

const KERNEL = 'kernel/images/kernel.elf';

describe.skipIf(missing('gdb'))('going back in time', () => {
  let server: ServerProcess;

  beforeEach(async () => {
    server = await ServerProcess.start(KERNEL, '--append', 'test', '--wait');
  });
  afterEach(() => server.stop());

  const attach = (): string => `target remote ${server.address}`;

  it('undoes steps one by one, registers and memory', async () => {
    const { printed } = await gdb(
      attach(),
      'break sys_fork',
      'continue',
      'stepi 20',
      'p/x $sp',
      'stepi',
      'stepi',
      'stepi',
      'reverse-stepi 3',
      'p/x $sp',
      'reverse-stepi 20',
      'info registers rip',
      'reverse-stepi',
      'x/i $pc',
    );
    const sections = printed.slice(3);
    const value = (text: string | undefined): string | undefined => text?.split(' = ')[1];
    expect(value(sections[6])).toBe(value(sections[1]));
    expect(sections[7]).toContain('hit Breakpoint');
    expect(sections[8]).toContain('<sys_fork>');
    expect(sections[10]).toMatch(/=> 0x[0-9a-f]+ <syscall_dispatch\+\d+>:\s+call/);
  });

  it('goes back from breakpoint to breakpoint, to the first instruction, and forward again', async () => {
    const { printed } = await gdb(
      attach(),
      'break sys_fork',
      'continue',
      'monitor icount',
      'continue',
      'monitor icount',
      'continue',
      'reverse-continue',
      'monitor icount',
      'monitor forks',
      'reverse-continue',
      'monitor icount',
      'reverse-continue',
      'monitor icount',
      'continue',
      'monitor icount',
      'continue',
      'monitor icount',
    );
    const [first, , second] = printed.slice(3);
    const back = printed.slice(7);
    expect(back[0]).toContain('hit Breakpoint');
    expect(back[1]).toBe(second);
    expect(back[2]).toMatch(/\n +1 +fork/);
    expect(back[2]).not.toMatch(/\n +3 +fork/);
    expect(back[4]).toBe(first);
    expect(back[5]).toContain('No more reverse-execution history');
    expect(back[6]).toContain('0 instructions');
    expect(back[8]).toBe(first);
    expect(back[10]).toBe(second);
  });

  it('finds who wrote a variable last, and what it was before', async () => {
    const { printed } = await gdb(
      attach(),
      'tbreak sys_fork',
      'continue',
      'p timer_ticks',
      'watch timer_ticks',
      'reverse-continue',
      'p timer_ticks',
      'bt 1',
      'next',
      'p timer_ticks',
    );
    const value = (text: string): number => Number(/= (\d+)/.exec(text)?.[1]);
    const last = value(printed[3]!);
    expect(last).toBeGreaterThan(0);
    expect(printed[5]).toContain(`Old value = ${last}\nNew value = ${last - 1}`);
    expect(value(printed[6]!)).toBe(last - 1);
    expect(printed[7]).toContain('timer_interrupt');
    expect(printed[8]).toContain(`Old value = ${last - 1}\nNew value = ${last}`);
    expect(value(printed[9]!)).toBe(last);
  });

  it('steps back over lines and out of functions', async () => {
    const { printed } = await gdb(
      attach(),
      'tbreak fork_from',
      'continue',
      'next',
      'next',
      'reverse-next',
      'reverse-finish',
      'x/i $pc',
    );
    const line = (text: string): string | undefined => /^(\d+)\t/m.exec(text)?.[1];
    expect(line(printed[3]!)).toBeDefined();
    expect(line(printed[5]!)).toBe(line(printed[3]!));
    expect(printed[7]).toMatch(/=> 0x[0-9a-f]+ <fork_captured\+\d+>:\s+call.*<fork_from>/);
  });

  it('stops on the way back only where a condition is true, also one of monitor break-if', async () => {
    const { printed } = await gdb(
      attach(),
      'break timer_interrupt if timer_ticks == 7',
      'continue',
      'tbreak timer_interrupt if timer_ticks == 12',
      'continue',
      'delete',
      'break timer_interrupt if timer_ticks == 4',
      'reverse-continue',
      'p timer_ticks',
      'delete',
      'monitor break-if timer_interrupt timer_ticks == 2',
      'reverse-continue',
      'p timer_ticks',
      'monitor break-if delete 1',
    );
    expect(printed[8]).toContain('= 4');
    expect(printed[11]).toContain('timer_ticks == 2');
    expect(printed[12]).toContain('= 2');
  });

  it('goes back over what the user has changed', async () => {
    const { printed } = await gdb(
      attach(),
      'tbreak sys_fork',
      'continue',
      'set var timer_ticks = 1000',
      'stepi',
      'p timer_ticks',
      'reverse-stepi',
      'p timer_ticks',
      'reverse-stepi',
      'p timer_ticks',
    );
    expect(printed[5]).toContain('= 1000');
    expect(printed[7]).toContain('= 1000');
    expect(printed[9]).toMatch(/= \d\n/);
  });

  it('comes to no place in non-stop mode', async () => {
    const { printed } = await gdb(
      'set non-stop on',
      attach(),
      'reverse-stepi',
      'info registers rip',
    );
    expect(printed[2]).toContain('No more reverse-execution history');
    expect(printed[3]).toMatch(/^rip/);
  });
});

describe.skipIf(missing('gdb'))('with processes as inferiors', () => {
  it('refuses to go back in one line', async () => {
    const server = await ServerProcess.start(KERNEL, '--append', 'test', '--wait', '--processes');
    const { everything } = await gdb(
      `target remote ${server.address}`,
      'tbreak sys_fork',
      'continue',
      'reverse-stepi',
    );
    await server.stop();
    expect(everything).toContain('not with processes as inferiors');
  });
});
