/** Whoever reads the program's output may go at any moment, as `| head` does. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MAIN, ServerProcess } from './server-process.ts';

it('exoscope monitor ends without a word when nobody reads its output', async () => {
  const server = await ServerProcess.start('--serial', 'none');
  try {
    const words = ['monitor', 'help', '--connect', server.address];
    const client = spawn(process.execPath, [MAIN, ...words]);
    client.stdout.destroy();
    let said = '';
    client.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
    await once(client, 'close');
    expect(said).toBe('');
  } finally {
    await server.stop();
  }
});

it('the server goes on when nobody reads what it says', async () => {
  const address = `unix:${join(tmpdir(), `exoscope-${process.pid}.socket`)}`;
  const words = ['serve', '--serial', 'none', '--listen', address, '--wait'];
  const server = spawn(process.execPath, [MAIN, ...words]);
  server.stderr.destroy();
  try {
    for (let turn = 0; ; turn++) {
      const client = spawn(process.execPath, [MAIN, 'monitor', 'icount', '--connect', address]);
      const [status] = (await once(client, 'close')) as [number];
      if (status === 0) break;
      expect(turn, 'attempts to reach it').toBeLessThan(30);
      expect(server.exitCode).toBeNull();
    }
  } finally {
    server.kill();
  }
});
