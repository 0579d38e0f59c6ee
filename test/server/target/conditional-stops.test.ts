/** Breakpoints and watchpoints with a condition in words: whose they are and what is told of them. */
import { beforeEach, describe, expect, it } from 'vitest';
import { MachineTarget } from '../../../server/target/machine-target.ts';
import type { TargetStop, ThreadResume } from '../../../server/target/target.ts';
import { FakeMachine } from '../fake-machine.ts';

const CONTINUE: ThreadResume = { threads: 'all', action: { kind: 'continue' } };
const CLIENT = {};

describe('a conditional stop of the server', () => {
  let machine: FakeMachine;
  let target: MachineTarget;

  beforeEach(() => {
    machine = new FakeMachine();
    target = new MachineTarget({ machine, image: new Uint8Array(), imageName: 'kernel.elf' });
  });

  function ask(commandLine: string): string {
    let text = '';
    const output = (part: string): void => void (text += part);
    const { failure } = target.monitor.run({ commandLine, access: 'control', thread: 1, output });
    return failure ?? text.trimEnd();
  }

  function run(): Promise<TargetStop> {
    return new Promise((resolve) => {
      const remove = target.onStop((stop) => {
        remove();
        resolve(stop);
      });
      target.resume([CONTINUE]);
    });
  }

  it('stops as nobody’s breakpoint, with its condition as text', async () => {
    expect(ask('break-if 0x1010 icount  == 0x10')).toMatch(/^1: 0x0*1010 when icount == 0x10$/);
    const text = 'break-if 1 at 0x1010: icount == 0x10';
    expect(await run()).toMatchObject({
      message: `${text}\n`,
      cause: { kind: 'breakpoint', address: 0x1010n, foreign: { description: text } },
    });
  });

  it('is passed while its condition is false', async () => {
    ask('break-if 0x1010 icount == 5');
    ask('break-if 0x1020 cpl == 0');
    expect(await run()).toMatchObject({
      message: expect.stringContaining('break-if 2 at 0x1020') as string,
    });
    expect(ask('break-if')).toMatch(/^ +1 .* 0\n +2 .* 1$/m);
  });

  it('is not foreign where a client’s breakpoint stops too, but told all the same', async () => {
    target.breakpoints.insert(CLIENT, { kind: 0, address: 0x1010n, lengthBytes: 1, process: 1 });
    ask('break-if 0x1010 1');
    const stop = await run();
    expect(stop).toMatchObject({ message: 'break-if 1 at 0x1010: 1\n' });
    expect(stop).not.toHaveProperty('cause.foreign');
  });

  it('is not told where only a client’s breakpoint stops', async () => {
    target.breakpoints.insert(CLIENT, { kind: 0, address: 0x1010n, lengthBytes: 1, process: 1 });
    ask('break-if 0x1010 0');
    expect(await run()).not.toHaveProperty('message');
  });

  it('stays when clients take theirs away, until it is deleted', () => {
    ask('break-if 0x1010 1');
    ask('break-if 0x1010 2');
    target.breakpoints.removeAllOf(CLIENT);
    expect(machine.breakpoints).toEqual(new Set([0x1010n]));
    expect(ask('break-if delete 1')).toBe('deleted 1');
    expect(machine.breakpoints.size).toBe(1);
    expect(ask('break-if delete 1')).toBe('there is no number 1');
    expect(ask('watch-if delete all')).toBe('deleted 2');
    expect(machine.breakpoints.size).toBe(0);
    expect(ask('break-if 0x1010 3')).toMatch(/^3: /);
  });

  it('watches memory for writes, reads or both', () => {
    ask('watch-if 0x2000 8 1');
    ask('watch-if 0x2000 4:read 1');
    expect(ask('watch-if 0x2000 2:access rax')).toMatch(/^3: access of 2 at 0x0*2000 when rax$/);
    expect([...machine.watchpoints]).toEqual(['8192:8:write', '8192:4:read', '8192:2:access']);
  });

  it('has a limit in number and in bytes', () => {
    for (let count = 0; count < 100; count++) ask(`break-if ${0x1000 + count} 1`);
    expect(ask('break-if 0x1010 1')).toBe('there are 100 already');
    ask('break-if delete all');
    expect(ask('watch-if 0x1010 999999999 1')).toBe('999999999 bytes cannot be watched');
    expect(ask('break-if')).toBe('no conditional breakpoints or watchpoints');
  });
});
