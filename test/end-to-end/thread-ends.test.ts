/** The end of the only thread that gdb lets run, with the real gdb and kernel. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { gdb } from './gdb.ts';
import { ServerProcess } from './server-process.ts';

describe.skipIf(missing('gdb'))('a thread that ends', () => {
  let server: ServerProcess;

  beforeAll(async () => {
    server = await ServerProcess.start();
    await server.serial('[INIT] forking a worker every second');
  });
  afterAll(() => server.stop());

  it.each(['continue', 'next 20'])('under scheduler-locking ends gdb’s %s', async (command) => {
    const { printed, everything } = await gdb(
      `target remote ${server.address}`,
      'tbreak sys_exit',
      'continue',
      'set scheduler-locking on',
      command,
      'info threads',
      'thread 1',
      'set scheduler-locking off',
      'tbreak fork_worker',
      'continue',
      'detach',
    );
    expect(printed[2], everything).toMatch(/hit Temporary breakpoint \d+, sys_exit/);
    expect(printed[4]).toContain('No unwaited-for children left.');
    expect(printed[5]).toMatch(/The current thread <Thread ID \d+> has terminated/);
    expect(printed[9]).toMatch(/Thread \d+ "init" hit Temporary breakpoint \d+, fork_worker/);
  });
});
