/** The server ends when it is told to, whoever is attached at that moment. */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ServerProcess } from './server-process.ts';

/** A debugger's first packets: it is attached and the machine halted. */
const DEBUGGER = '+$qSupported#37$vMustReplyEmpty#3a$?#3f';

describe('SIGTERM ends the server', () => {
  it('with nobody attached', async () => {
    const server = await ServerProcess.start('--serial', 'none');
    expect(await server.stop()).toBe(0);
  });

  it.each([
    ['a debugger', DEBUGGER],
    ['a monitor client', '+$qSupported#37'],
  ])('with %s attached, whose leaving would let the machine go on', async (_, bytes) => {
    const server = await ServerProcess.start('--serial', 'none');
    const port = Number(server.address.split(':')[1]);
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => undefined);
    socket.write(bytes);
    await new Promise((resolve) => socket.once('data', resolve));
    expect(await server.stop()).toBe(0);
    socket.destroy();
  });
});
