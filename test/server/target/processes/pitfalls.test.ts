/**
 * What breaks gdb when processes are inferiors, packet by packet, with the real kernel: the tests of
 * protection.elf fork in ring 3, so that parent and child have different memory at the same address.
 * Each name says which client behaviour it is about; the end-to-end tests show gdb itself.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { encodePacket } from '../../../../server/rsp/packet-writer.ts';
import { symbolAddress } from '../../fake-exo.ts';
import { Debugger, kernelAddress, OF_GDB, processOf, userAddress } from './process-debugger.ts';

const OF_LLDB = 'multiprocess+;fork-events+;vfork-events+';

describe('with processes as inferiors', () => {
  let client: Debugger;
  afterEach(async () => {
    await client.harness.session.dispose();
    client.target.dispose();
  });

  it('pitfall A: g is the 560 bytes of gdb’s default layout, and p has the rest, in every inferior', async () => {
    client = await Debugger.attached();
    const { parent, child } = await client.forkInRing3();
    for (const thread of [parent, child]) {
      await client.ask(`Hg${thread}`);
      expect(await client.ask('g')).toHaveLength(2 * 560);
      // cr3, the first of the registers beyond them that both have.
      expect(await client.ask('p3f')).toMatch(/^[0-9a-f]{16}$/);
    }
  });

  it('pitfall B: a breakpoint of a process that was not resumed does not stop', async () => {
    client = await Debugger.attached();
    const { parent, child } = await client.forkInRing3();
    await client.ask(`Hg${child}`);
    await client.ask(`Z0,${userAddress('change_value')},1`);
    await client.ask(`Hg${parent}`);
    await client.ask(`Z0,${kernelAddress('process_reap')},1`);
    // The child is held until its parent has no patience any more and kills it.
    const stop = await client.stop(`vCont;c:p${processOf(parent)}.-1`);
    expect(stop).toMatch(new RegExp(`^T05swbreak:;thread:${parent};`));
  });

  it('pitfall B: the same breakpoint stops when its process is resumed too', async () => {
    client = await Debugger.attached();
    const { child } = await client.forkInRing3();
    await client.ask(`Hg${child}`);
    await client.ask(`Z0,${userAddress('change_value')},1`);
    expect(await client.stop('vCont;c')).toMatch(new RegExp(`^T05swbreak:;thread:${child};`));
  });

  it('pitfall C: every stop names a thread that was resumed, also a step’s and a break-in’s', async () => {
    client = await Debugger.attached();
    const { parent, child } = await client.forkInRing3();
    expect(await client.stop(`vCont;s:${parent}`)).toContain(`thread:${parent};`);
    // The child is not on the CPU: the step waits until the guest's scheduler puts it on.
    expect(await client.stop(`vCont;s:${child}`)).toContain(`thread:${child};`);
    expect(await client.stop(`vCont;s:${parent}`)).toContain(`thread:${parent};`);
    // The idle thread is not on the CPU when the break-in comes.
    const resume = encodePacket(Buffer.from('vCont;c:p1.1'));
    const answers = await client.harness.sendRaw(Buffer.concat([resume, Buffer.of(3)]));
    expect(answers.join()).toMatch(/^T02thread:p1\.1;/);
  });

  it('a process that was not resumed executes nothing in ring 3, and goes on when it is', async () => {
    client = await Debugger.attached();
    const { parent, child } = await client.forkInRing3();
    const value = `m${userAddress('shared_value')},8`;
    await client.ask(`Hg${parent}`);
    await client.ask(`Z0,${kernelAddress('sys_wait4')},1`);
    for (let times = 0; times < 20; times++) {
      const stop = await client.stop(`vCont;c:p${processOf(parent)}.-1`);
      expect(stop).toContain(`;thread:${parent};`);
    }
    await client.ask(`Hg${child}`);
    expect(await client.ask(value)).toBe('0100000000000000');
    await client.ask(`Z0,${userAddress('change_value')},1`);
    const resume = `vCont;c:p${processOf(child)}.-1`;
    expect(await client.stop(resume)).toMatch(new RegExp(`^T05swbreak:;thread:${child};`));
    expect(await client.stop(resume)).toBe(`W00;process:${processOf(child)}`);
  });

  it('pitfall D: the end of a process that was not resumed waits until it is', async () => {
    client = await Debugger.attached();
    const { parent, child } = await client.forkInRing3();
    await client.ask(`Hg${parent}`);
    // Its parent waits for a while, and then kills it.
    await client.ask(`Z0,${kernelAddress('process_reap')},1`);
    expect(await client.stop('vCont;c:p1.-1')).toContain(`thread:${parent};`);
    await client.ask(`z0,${kernelAddress('process_reap')},1`);
    // It has ended; its threads stay until gdb can hear of it, and answer.
    expect(await client.threads()).toContain(child);
    await client.ask(`Hg${child}`);
    expect(await client.ask('g')).toHaveLength(2 * 560);
    expect(await client.stop(`vCont;c:p${processOf(child)}.-1`)).toBe(
      `X09;process:${processOf(child)}`,
    );
    expect(await client.threads()).not.toContain(child);
    expect(await client.ask(`T${child}`)).toMatch(/^E/);
  });

  it('pitfall D: a process that a signal ends is told as killed by it', async () => {
    client = await Debugger.attached();
    for (let ending = ''; !ending.startsWith('X');) {
      const stop = await client.stop('vCont;c:p1.-1');
      const child = processOf(/^T05v?fork:(p[^;]+);/.exec(stop)![1]!);
      ending = await client.stop(`vCont;c:p${child}.-1`);
      // The first of them reads address 8 in ring 3.
      if (ending.startsWith('X')) expect(ending).toBe(`X0b;process:${child}`);
      else if (!ending.startsWith('W')) await client.ask(`D;${child}`);
    }
  });

  it('pitfall E: breakpoints are each process’s own, idempotent, and a kernel address is counted', async () => {
    client = await Debugger.attached();
    const { parent, child } = await client.forkInRing3();
    const exit = kernelAddress('sys_exit');
    for (const thread of [parent, child]) {
      await client.ask(`Hg${thread}`);
      expect(await client.ask(`Z0,${exit},1`)).toBe('OK');
      expect(await client.ask(`Z0,${exit},1`)).toBe('OK');
    }
    // gdb's z in a forked child: the parent's breakpoint stays, and removing twice is no error.
    await client.ask(`Hg${parent}`);
    expect(await client.ask(`z0,${exit},1`)).toBe('OK');
    expect(await client.ask(`z0,${exit},1`)).toBe('OK');
    expect(await client.stop('vCont;c')).toMatch(new RegExp(`^T05swbreak:;thread:${child};`));
    await client.ask(`Hg${child}`);
    await client.ask(`z0,${exit},1`);
    expect(await client.stop('vCont;c')).toBe(`W00;process:${processOf(child)}`);
  });

  it('pitfall E: z in the forked child leaves the parent’s breakpoint, D of it lets it run on', async () => {
    client = await Debugger.attached();
    await client.ask(`Z0,${kernelAddress('sys_wait4')},1`);
    for (;;) {
      const stop = await client.stop('vCont;c:p1.-1');
      const [, child, parent] = /^T05fork:(p[^;]+);thread:(p[^;]+);/.exec(stop) ?? [];
      if (child === undefined || parent === undefined) continue;
      expect(processOf(child)).not.toBe(processOf(parent));
      await client.ask(`Hg${child}`);
      expect(await client.ask(`z0,${kernelAddress('sys_wait4')},1`)).toBe('OK');
      await client.ask(`Hg${parent}`);
      expect(await client.ask(`D;${processOf(child)}`)).toBe('OK');
      expect(await client.stop('vCont;c:p1.-1')).toMatch(/^T05swbreak:;thread:p1\./);
      // The child is a thread of the kernel's inferior now, and lives.
      const tid = child.split('.')[1]!;
      expect(await client.threads()).toContain(`p1.${tid}`);
      return;
    }
  });

  it('a fork that a step comes upon waits for the next continue', async () => {
    client = await Debugger.attached();
    await client.ask(`Z0,${kernelAddress('start_child')},1`);
    expect(await client.stop('vCont;c:p1.-1')).toMatch(/^T05swbreak/);
    await client.ask(`z0,${kernelAddress('start_child')},1`);
    const thread = /thread:(p[^;]+);/.exec(await client.ask('?'))![1]!;
    let steps = 0;
    for (let rip = ''; rip !== behindFork && steps < 2000; steps++) {
      const stop = await client.stop(`vCont;s:${thread}`);
      expect(stop).toMatch(/^T05thread:/);
      rip = /;10:([0-9a-f]{16});/.exec(stop)![1]!;
    }
    expect(await client.stop(`vCont;s:${thread}`)).toMatch(/^T05thread:/);
    expect(await client.stop('vCont;c:p1.-1')).toMatch(
      new RegExp(`^T05fork:p[0-9a-f]+\\.[0-9a-f]+;thread:${thread};`),
    );
  });

  it('memory is each process’s own at the same ring-3 address, also of one that does not run', async () => {
    client = await Debugger.attached();
    const { parent, child } = await client.forkInRing3();
    await client.ask(`Hg${child}`);
    await client.ask(`Z0,${kernelAddress('sys_exit')},1`);
    await client.stop('vCont;c');
    const value = `m${userAddress('shared_value')},8`;
    expect(await client.ask(value)).toBe('0200000000000000');
    await client.ask(`Hg${parent}`);
    expect(await client.ask(value)).toBe('0100000000000000');
  });

  it('an executed program is told before its first instruction, and Z is sent again', async () => {
    client = await Debugger.attached();
    const stop = await client.stopAfterForks('vCont;c:p1.-1').catch(() => '');
    expect(stop).toMatch(/^(T05vfork|W)/);
    const child = /^T05vfork:(p[^;]+);/.exec(stop)![1]!;
    await client.ask(`Hg${child}`);
    await client.ask('Z0,401000,1');
    const exec = await client.stop(`vCont;c:p${processOf(child)}.-1`);
    const path = Buffer.from('/bin/worker.elf').toString('hex');
    expect(exec).toMatch(new RegExp(`^T05exec:${path};thread:${child};.*;10:0010400000000000;`));
    const file = await client.ask(`qXfer:exec-file:read:${processOf(child)}:0,100`);
    expect(file).toBe('l/bin/worker.elf');
    expect(await client.ask('Z0,401000,1')).toBe('OK');
    expect(await client.stop(`vCont;c:p${processOf(child)}.-1`)).toMatch(/^W00;process:/);
    expect(await client.stop('vCont;c:p1.-1')).toMatch(/^T05vforkdone:;thread:p1\./);
  });

  it('a client that vanishes leaves neither breakpoints nor processes', async () => {
    client = await Debugger.attached();
    const { parent, child } = await client.forkInRing3();
    await client.ask(`Hg${parent}`);
    await client.ask(`Z0,${kernelAddress('sys_wait4')},1`);
    expect(await client.stop(`vCont;c:p${processOf(parent)}.-1`)).toContain(`thread:${parent};`);
    await client.ask(`Hg${child}`);
    await client.ask(`Z0,${kernelAddress('sys_exit')},1`);
    const next = new Promise((resolve) => client.target.onStop(resolve));
    await client.harness.session.dispose();
    expect(client.target.processes!.isActive).toBe(false);
    // The guest's tests run to their end, through dozens of forks and exits, and pass.
    expect(await next).toMatchObject({ kind: 'exited', status: 0, process: 1 });
  });

  it('are not given to lldb, which takes one process for all', async () => {
    client = new Debugger();
    const features = await client.ask(`qSupported:xmlRegisters=i386;${OF_LLDB}`);
    expect(features).not.toContain('fork-events');
    await client.ask('Hg0');
    expect(client.target.processes!.isActive).toBe(false);
  });

  it('nothing is announced when they are not wanted', async () => {
    client = new Debugger(false);
    const features = await client.ask(`qSupported:${OF_GDB}`);
    expect(features).not.toMatch(/fork-events|exec-events/);
  });
});

/** rip behind the call in sys_fork, as the expedited registers have it. */
const behindFork = (() => {
  const bytes = Buffer.alloc(8);
  const start = symbolAddress('sys_fork');
  bytes.writeBigUInt64LE(start + 0x38n);
  return bytes.toString('hex');
})();
