import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Machine, RecordedMachine } from '../../machine/index.ts';
import { DebuggerSeat } from '../../server/debugger-seat.ts';
import { encodePacket } from '../../server/rsp/packet-writer.ts';
import { MachineTarget } from '../../server/target/machine-target.ts';
import type { Target } from '../../server/target/target.ts';
import { FakeTarget } from '../fake-target.ts';
import { SessionHarness } from '../session-harness.ts';
import { KERNEL_PATH } from '../machine/small-guest.ts';
import { FakeMachine } from './fake-machine.ts';

function frame(text: string): Uint8Array {
  return encodePacket(Buffer.from(text, 'latin1'));
}

function written(harness: SessionHarness): string {
  return Buffer.concat(harness.writes).toString('latin1');
}

describe('acknowledgements', () => {
  it('acknowledges each packet before it answers', async () => {
    const harness = new SessionHarness();
    await harness.send('qC');
    expect(written(harness)).toBe('+$QC1#c5');
  });

  it('asks again for a damaged packet and sends its own again when asked', async () => {
    const harness = new SessionHarness();
    await harness.sendRaw(Buffer.from('$qC#00'));
    expect(written(harness)).toBe('-');
    await harness.send('qC');
    await harness.sendRaw(Buffer.from('-'));
    expect(written(harness)).toBe('-+$QC1#c5$QC1#c5');
  });

  it('stops after the answer to QStartNoAckMode', async () => {
    const harness = new SessionHarness();
    await harness.send('QStartNoAckMode');
    await harness.sendRaw(Buffer.from('+'));
    await harness.send('qC');
    expect(written(harness)).toBe('+$OK#9a$QC1#c5');
  });

  it('without acknowledgements takes a damaged packet as it came, since nobody would resend it', async () => {
    const harness = new SessionHarness();
    await harness.send('QStartNoAckMode');
    expect(await harness.sendRaw(Buffer.from('$qC#00'))).toEqual(['QC1']);
  });

  it('answers a packet that is too long with an error', async () => {
    const harness = new SessionHarness();
    expect(await harness.ask(`M0,${'0'.repeat(0x20000)}`)).toBe('E07');
    expect(await harness.ask('qC')).toBe('QC1');
  });

  it('puts each packet on the wire in one write', async () => {
    const harness = new SessionHarness();
    await harness.send('QStartNoAckMode');
    const before = harness.writes.length;
    await harness.send('m1000,1000');
    expect(harness.writes.length - before).toBe(1);
  });
});

describe('running', () => {
  it('sees a break-in that arrives in one piece with its resume', async () => {
    const harness = new SessionHarness();
    await harness.send('P10=0020000000000000');
    const answers = await harness.sendRaw(Buffer.concat([frame('c'), Buffer.of(3)]));
    expect(answers).toHaveLength(1);
    expect(answers[0]).toMatch(/^T02thread:1;/);
  });

  it('ignores a break-in while halted', async () => {
    const harness = new SessionHarness();
    expect(await harness.sendRaw(Buffer.of(3, 3, 3))).toEqual([]);
    await harness.send('Z0,1005,1');
    expect(await harness.ask('c')).toMatch(/^T05/);
  });

  it('gives one stop reply per resume and none for what others do', async () => {
    const harness = new SessionHarness();
    await harness.send('?');
    harness.target.resume([{ threads: 1, action: { kind: 'step' } }]);
    expect(await harness.answers()).toEqual([]);
    expect(await harness.send('s')).toHaveLength(1);
  });

  it('keeps packets that come while the target runs until it has stopped', async () => {
    const harness = new SessionHarness();
    await harness.send('P10=0020000000000000');
    expect(await harness.send('c')).toEqual([]);
    expect(await harness.send('qC')).toEqual([]);
    const answers = await harness.sendRaw(Buffer.of(3));
    expect(answers[0]).toMatch(/^T02/);
    expect(answers[1]).toBe('QC1');
  });

  it.each(['D', 'vKill;1'])('answers %s while the target runs, once', async (packet) => {
    const harness = new SessionHarness();
    await harness.send('P10=0020000000000000');
    await harness.send('c');
    expect(await harness.send(packet)).toEqual(['OK']);
    expect(harness.target.state().kind).toBe('running');
  });

  it('halts a running target when a debugger attaches, without an unasked stop reply', async () => {
    const target = new FakeTarget();
    target.startEndlessRun();
    const harness = new SessionHarness({ target });
    await harness.send('qSupported:multiprocess+');
    expect(target.state().kind).toBe('running');
    expect(await harness.ask('Hgp0.0')).toBe('OK');
    expect(target.state().kind).toBe('halted');
    expect(await harness.ask('?')).toMatch(/^T02thread:p1.1;/);
  });
});

describe('the one debugger', () => {
  it('refuses a second one in words and leaves the first alone', async () => {
    const first = new SessionHarness();
    await first.send('?');
    const second = new SessionHarness({ target: first.target, seat: first.seat });
    expect(await second.ask('qSupported:multiprocess+')).toContain('PacketSize');
    expect(await second.ask('vMustReplyEmpty')).toMatch(/^E\.another debugger is attached/);
    expect(second.isClosed).toBe(false);
    expect(await second.ask('?')).toMatch(/^E\.another debugger/);
    expect(second.isClosed).toBe(true);
    await second.session.dispose();
    expect(await first.ask('m1000,4')).toBe('00010203');
  });

  it('hangs up on a second lldb at its first packet, since it prints no text of ours', async () => {
    const first = new SessionHarness();
    await first.send('?');
    const second = new SessionHarness({ target: first.target, seat: first.seat });
    expect(await second.send('QStartNoAckMode')).toEqual([]);
    expect(second.isClosed).toBe(true);
    expect(await first.ask('m1000,4')).toBe('00010203');
  });

  it('lets others look with monitor commands, and control only when there is no debugger', async () => {
    const first = new SessionHarness();
    const monitor = new SessionHarness({ target: first.target, seat: first.seat });
    const asked = async () => {
      const [output] = await monitor.send('qRcmd,78');
      return Buffer.from(output!.slice(1), 'hex').toString();
    };
    expect(await asked()).toBe('x as control on 1\n');
    await first.send('?');
    expect(await asked()).toBe('x as look on 1\n');
    await first.send('D;1');
    expect(await asked()).toBe('x as control on 1\n');
  });

  it('alone reaches the stub of a target that has one, with what the server does not know', async () => {
    const passOn = (packet: Uint8Array) =>
      Buffer.from(`its word on ${Buffer.from(packet).toString()}`);
    const target = Object.assign(new FakeTarget(), { passOn });
    const seat = new DebuggerSeat();
    const debugging = new SessionHarness({ target, seat });
    await debugging.send('?');
    const looking = new SessionHarness({ target, seat });
    expect(await looking.send('qqemu.sstep')).toEqual(['']);
    expect(await debugging.send('qqemu.sstep')).toEqual(['its word on qqemu.sstep']);
    expect(await debugging.send('qC')).toEqual(['QC1']);
  });

  it('gives the seat free when its debugger vanishes, with its breakpoints, and runs on', async () => {
    const seat = new DebuggerSeat();
    const first = new SessionHarness({ seat });
    await first.send('Z0,1010,1');
    expect(first.target.inserted.size).toBe(1);
    await first.session.dispose();
    expect(first.target.inserted.size).toBe(0);
    expect(first.target.state().kind).toBe('running');
    const second = new SessionHarness({ seat, target: first.target });
    expect(await second.ask('?')).toMatch(/^[TW]/);
  });

  it('catches system calls only as long as the debugger is there that asked for it', async () => {
    const seat = new DebuggerSeat();
    const machine = new FakeMachine();
    const target = new MachineTarget({ machine, image: new Uint8Array(), imageName: 'none' });
    const debuggers = new SessionHarness<Target>({ seat, target, onDetach: 'halt' });
    await debuggers.send('QCatchSyscalls:1;27');
    expect(machine.caughtSystemCalls).toEqual(new Set([0x27]));
    const onlooker = new SessionHarness<Target>({ seat, target });
    await onlooker.send(`qRcmd,${Buffer.from('catch').toString('hex')}`);
    await onlooker.session.dispose();
    expect(machine.caughtSystemCalls).toEqual(new Set([0x27]));
    await debuggers.session.dispose();
    expect(machine.caughtSystemCalls).toBe('none');
  });

  it.each([
    ['run', 'D', 'running'],
    ['halt', 'D', 'halted'],
    ['run', 'D1', 'halted'],
    ['run', 'k', 'running'],
  ] as const)('with --on-detach %s and %s the target is %s', async (onDetach, packet, state) => {
    const harness = new SessionHarness({ onDetach });
    await harness.send('P10=0020000000000000');
    await harness.send(packet);
    expect(harness.target.state().kind).toBe(state);
  });

  it('lets the machine go on also when the debugger vanishes while its D is being handled', async () => {
    const harness = new SessionHarness();
    await harness.send('P10=0020000000000000');
    await harness.send('Z0,1010,1');
    harness.session.receive(frame('D'));
    await harness.session.dispose();
    await harness.answers();
    expect(harness.target.state().kind).toBe('running');
    expect(harness.target.inserted.size).toBe(0);
  });

  it.each(['vanishes', 'detaches'])(
    'leaves a machine that goes forward when it %s on the way back',
    async (how) => {
      const image = readFileSync(KERNEL_PATH);
      const options = { image, imageName: 'kernel.elf', memoryBytes: 16 << 20 };
      const machine = new RecordedMachine(options);
      const recording = { machine, makeReplica: () => new Machine(options) };
      const target = new MachineTarget({ machine, recording, image, imageName: 'kernel.elf' });
      const harness = new SessionHarness<Target>({ target });
      await harness.send('?');
      machine.run({ budget: 3_000_000, skipIdle: true });
      const { icount } = machine;
      harness.session.receive(frame('bc'));
      await new Promise((resolve) => setImmediate(resolve));
      if (how === 'vanishes') await harness.session.dispose();
      else expect(await harness.send('D')).toEqual(['OK']);
      await expect.poll(() => machine.icount).toBeGreaterThan(icount);
      target.dispose();
    },
  );

  it('answers D before the machine goes on', async () => {
    const harness = new SessionHarness();
    await harness.send('P10=0020000000000000');
    const resume = harness.target.resume.bind(harness.target);
    let writtenBefore = '';
    harness.target.resume = (threads) => {
      writtenBefore = written(harness);
      resume(threads);
    };
    await harness.send('D');
    expect(writtenBefore).toMatch(/\$OK#9a$/);
    expect(writtenBefore).toBe(written(harness));
  });

  it('halts a running target whose debugger vanishes with --on-detach halt', async () => {
    const harness = new SessionHarness({ onDetach: 'halt' });
    await harness.send('P10=0020000000000000');
    await harness.send('c');
    await harness.session.dispose();
    expect(harness.target.state().kind).toBe('halted');
  });
});

describe('limits', () => {
  it('closes on a client that does not read', async () => {
    const harness = new SessionHarness();
    harness.backlogBytes = 1e9;
    await harness.send('m1000,1000');
    expect(harness.isClosed).toBe(true);
  });

  it('closes on a client that does not wait for replies', async () => {
    const harness = new SessionHarness();
    await harness.send('P10=0020000000000000');
    await harness.send('c');
    for (let count = 0; count < 2000; count++) harness.session.receive(frame('q'.repeat(1000)));
    expect(harness.isClosed).toBe(true);
  });

  it('answers an error of its own with EIO, logs it and lives', async () => {
    const harness = new SessionHarness();
    const command = Buffer.from('break').toString('hex');
    expect(await harness.ask(`qRcmd,${command}`)).toBe('E05');
    expect(harness.internalErrors).toHaveLength(1);
    expect(await harness.ask('?')).toMatch(/^T05/);
  });
});

/** Pieces that packets are made of, so that random ones get past the first check. */
const PIECES = [
  ...['g', 'G', 'p', 'P', 'm', 'M', 'x', 'X', 'Z', 'z', 'H', 'T', 'D', '?', '!', 'vCont', 'vCont?'],
  ...['vFile:open', 'vFile:pread', 'vFile:fstat', 'qXfer:features:read', 'qXfer:threads:read'],
  ...['qSearch:memory', 'qCRC', 'qThreadStopInfo', 'jThreadsInfo', 'QSaveRegisterState', 'qRcmd'],
  ...['qMemoryRegionInfo', 'QRestoreRegisterState', 'qAttached', 'qThreadExtraInfo', 'qSupported'],
  ...[':', ',', ';', '=', '-1', '0', '1', '2', '10', '1000', 'ffffffffffffffff', 'p1.1', 'p1.-1'],
  ...['c', 's', 't', 'r', 'thread:', 'target.xml', '00', 'zz', '}', '\x00', '\xff', 'g', '3'],
];

describe('random packets', () => {
  it('get exactly one answer each and never an internal error', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 9 }), {
          minLength: 1,
          maxLength: 12,
        }),
        async (packets) => {
          const harness = new SessionHarness();
          for (const pieces of packets) {
            const packet = pieces.join('');
            let answers = await harness.send(packet);
            // A resumed target may run without end: then the break-in brings the one answer.
            if (answers.length === 0) answers = await harness.sendRaw(Buffer.of(3));
            const finals = answers.filter((answer) => answer === 'OK' || !answer.startsWith('O'));
            expect(finals, packet).toHaveLength(1);
          }
          expect(harness.internalErrors).toEqual([]);
          await harness.session.dispose();
        },
      ),
      { numRuns: 150 },
    );
  });
});
