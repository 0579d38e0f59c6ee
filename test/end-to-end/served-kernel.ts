/** The example kernel on a server of its own, for all tests of one `describe`. */
import { afterAll, beforeAll } from 'vitest';
import { gdb } from './gdb.ts';
import { ServerProcess } from './server-process.ts';

/** What the kernel says when its tests are over and it has come to its everyday work. */
export const READY = '[INIT] forking a worker every second';

export interface ServedKernel {
  readonly server: ServerProcess;
  /** gdb's command that attaches. */
  readonly attach: string;
  /** Attaches with gdb: what each command printed. */
  ask(...commands: string[]): Promise<readonly string[]>;
}

/** Starts before the tests around it, with `exoscope serve ARGS`, and ends after them. */
export function servedKernel(...args: string[]): ServedKernel {
  let started: ServerProcess | undefined;
  beforeAll(async () => {
    started = await ServerProcess.start(...args);
    await started.serial(READY);
  });
  afterAll(async () => {
    await started?.stop();
  });
  const running = (): ServerProcess => {
    if (started === undefined) throw new Error('the server starts with the first test');
    return started;
  };
  const attach = (): string => `target remote ${running().address}`;
  return {
    get server() {
      return running();
    },
    get attach() {
      return attach();
    },
    ask: async (...commands) => (await gdb(attach(), ...commands)).printed.slice(1),
  };
}
