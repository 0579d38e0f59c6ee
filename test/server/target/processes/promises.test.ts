/**
 * What the server promises a client with processes, whatever that does: each stop is of something that
 * the client has resumed, and no process is seen that it was not told of. Drawn sequences; `FUZZ_SEED=N`
 * draws others, `FUZZ_INPUTS=N` longer ones.
 */
import { describe, expect, it } from 'vitest';
import { Random } from '../../../machine/block-engine/random-program.ts';
import { Debugger, kernelAddress, processOf } from './process-debugger.ts';

const SEED = Number(process.env['FUZZ_SEED'] ?? 1);
const STEPS = Math.min(Number(process.env['FUZZ_INPUTS'] ?? 400), 20_000);
const PLACES = ['sys_fork', 'sys_execve', 'sys_exit', 'thread_wait', 'sys_wait4', 'schedule'];
const RUNNING_TURNS = 40;

/** A client that keeps the books of what it knows. */
class Bookkeeper {
  readonly client: Debugger;
  readonly random: Random;
  readonly known = new Set(['1']);
  readonly seen = new Map<string, number>();
  private threads: string[] = [];

  constructor(client: Debugger, seed: number) {
    this.client = client;
    this.random = new Random(seed);
  }

  async step(): Promise<void> {
    await this.look();
    const draw = this.random.below(100);
    if (draw < 20) await this.change();
    else await this.resume(draw);
  }

  /** Threads only of processes that it was told of. */
  private async look(): Promise<void> {
    this.threads = await this.client.threads();
    expect(this.threads.length).toBeGreaterThan(0);
    for (const id of this.threads) expect([...this.known]).toContain(processOf(id));
  }

  /** A breakpoint comes or goes, a process is let go or taken again. */
  private async change(): Promise<void> {
    const { client, random } = this;
    const process = processOf(random.pick(this.threads));
    const draw = random.below(4);
    if (draw === 0 && process !== '1') {
      expect(await client.ask(`D;${process}`)).toBe('OK');
      this.known.delete(process);
    } else if (draw === 1) {
      const own = this.threads.find((id) => processOf(id) === '1' && !id.endsWith('.1'));
      const pid = own === undefined ? 0 : Number.parseInt(own.slice(3), 16) - 1;
      const attached = pid > 1 ? await client.ask(`vAttach;${pid.toString(16)}`) : 'E03';
      if (attached.startsWith('T')) this.known.add(pid.toString(16));
    } else {
      await client.ask(`Hg${random.pick(this.threads)}`);
      const place = kernelAddress(random.pick(PLACES));
      expect(await client.ask(`${random.pick(['Z', 'z', 'z'])}0,${place},1`)).toBe('OK');
    }
  }

  private async resume(draw: number): Promise<void> {
    const thread = this.random.pick(this.threads);
    if (draw < 40) await this.run('vCont;c', () => true);
    else if (draw < 75) {
      const process = processOf(thread);
      await this.run(`vCont;c:p${process}.-1`, (id) => processOf(id) === process);
    } else if (draw < 90) await this.run(`vCont;s:${thread}`, (id) => id === thread);
    else await this.run(`vCont;c:${thread}`, (id) => id === thread);
  }

  private async run(packet: string, isResumed: (id: string) => boolean): Promise<void> {
    const stop = await this.client.stop(packet, RUNNING_TURNS);
    const kind = /^(?:T..(fork|vfork|vforkdone|exec|swbreak)?|W|X)/.exec(stop)![0];
    this.seen.set(kind, (this.seen.get(kind) ?? 0) + 1);
    const ended = /^[WX]..;process:([0-9a-f]+)$/.exec(stop)?.[1];
    if (ended !== undefined) {
      if (this.client.target.state().kind === 'halted' && ended === '1') return this.reboot();
      expect(
        [...this.known].filter((process) => isResumed(`p${process}.0`) || !packet.includes('.-1')),
        stop,
      ).toContain(ended);
      this.known.delete(ended);
      return;
    }
    const thread = /[;0-9]thread:(p[^;]+);/.exec(stop)![1]!;
    // A thread that was stepped may have been killed and reaped: nothing else is left to tell of.
    const isGone = !(await this.client.threads()).some(isResumed);
    expect(isResumed(thread) || isGone, `${packet} -> ${stop}`).toBe(true);
    const child = /^T05v?fork:(p[0-9a-f]+)/.exec(stop)?.[1];
    if (child === undefined) return;
    expect(packet).not.toContain('vCont;s');
    expect(child.slice(1)).not.toBe(processOf(thread));
    this.known.add(child.slice(1));
  }

  /** The guest has run all its tests. */
  private async reboot(): Promise<void> {
    this.client.target.restart();
    await this.look();
  }
}

describe('whatever a client with processes does', () => {
  it(
    'each stop is of what it resumed, and it knows every process',
    { timeout: 600_000 },
    async () => {
      const client = await Debugger.attached();
      const books = new Bookkeeper(client, SEED);
      for (let count = 0; count < STEPS; count++) await books.step();
      expect(client.harness.internalErrors).toEqual([]);
      expect(books.seen.get('T05fork') ?? 0).toBeGreaterThan(5);
      await client.harness.session.dispose();
      client.target.dispose();
    },
  );
});
