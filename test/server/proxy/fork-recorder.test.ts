/** Break-ins while the proxy stops QEMU at the guest's forks for their true registers. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { ProxyTarget } from '../../../server/proxy/proxy-target.ts';
import { runUnattended } from '../../../server/session-context.ts';
import { freePort, startQemu } from '../../end-to-end/before-qemu.ts';
import { READY } from '../../end-to-end/served-kernel.ts';
import { kernelImage } from '../../kernel/qemu.ts';
import { missing } from '../../tools.ts';

const MOST_BREAK_INS = 2000;

it.skipIf(missing('qemu-system-x86_64'))(
  'loses neither a break-in nor a fork, whenever it is broken into',
  async () => {
    const port = await freePort();
    const qemu = startQemu(port, '-S');
    const image = { name: kernelImage, content: readFileSync(kernelImage) };
    const target = new ProxyTarget({ host: '127.0.0.1', port, image, recordsForks: true });
    const signals = new Set<number>();
    target.onStop((stop) => stop.kind === 'stopped' && signals.add(stop.signal));
    let text = '';
    const ask = () => {
      const output = (part: string): string => (text = part);
      return target.monitor.run({ commandLine: 'forks', access: 'control', thread: 1, output });
    };
    try {
      await target.whenReady();
      let breakIns = 0;
      for (; !qemu.output.includes(READY) && breakIns < MOST_BREAK_INS; breakIns++) {
        runUnattended(target);
        await sleep((breakIns * 7) % 13);
        expect(await ask()).toEqual({ hasHalted: true });
      }
      expect(breakIns).toBeGreaterThan(30);
      expect(qemu.output).toContain(READY);
      const verdicts = text.trimEnd().split('\n').slice(1).map((row) => row.split(/ {2,}/).at(-1)); // prettier-ignore
      expect(verdicts.length).toBeGreaterThan(40);
      expect(verdicts.filter((verdict) => verdict !== 'sound' && verdict !== 'open')).toEqual([]);
      expect([...signals]).toEqual([2]);
    } finally {
      target.dispose();
      await qemu.end('SIGKILL');
    }
  },
);
