/** Non-stop mode: answers at once, stops by notifications, and when the machine goes on. */
import { describe, expect, it } from 'vitest';
import type { TargetThread } from '../../../server/target/target.ts';
import { FakeTarget } from '../../fake-target.ts';
import { SessionHarness } from '../../session-harness.ts';

/** Thread 1 on the CPU, where it never ends; thread 2 sleeps. */
class NonStopTarget extends FakeTarget {
  readonly isNonStop = true;
  hasSecond = true;

  override threads(): TargetThread[] {
    return super.threads().slice(0, this.hasSecond ? 2 : 1);
  }
}

const OFFER = 'qSupported:multiprocess+;swbreak+;hwbreak+';
const AT_ENDLESS = 'P10=0020000000000000';

class Client extends SessionHarness<NonStopTarget> {
  #heard = 0;

  static async attach(): Promise<Client> {
    const client = new Client({ target: new NonStopTarget() });
    expect(await client.ask(OFFER)).toContain(';QNonStop+;');
    expect(await client.ask('QNonStop:1')).toBe('OK');
    expect(await client.ask('?')).toMatch(/^T05thread:p1\.1;/);
    expect(await client.ask('vStopped')).toBe('OK');
    await client.ask(AT_ENDLESS);
    return client;
  }

  /** Notifications since the last look, without their checksums. */
  notifications(): string[] {
    const fresh = this.writes.slice(this.#heard).map((bytes) => Buffer.from(bytes).toString());
    this.#heard = this.writes.length;
    return fresh.filter((text) => text.startsWith('%')).map((text) => text.slice(0, -3));
  }

  get isRunning(): boolean {
    return this.target.state().kind === 'running';
  }
}

describe('non-stop mode', () => {
  it('is offered only by targets that can be asked while they run', async () => {
    const harness = new SessionHarness();
    expect(await harness.ask(OFFER)).not.toContain('QNonStop');
    expect(await harness.ask('QNonStop:1')).toBe('E16');
    expect(await harness.ask('QNonStop:0')).toBe('OK');
    expect(await harness.ask('vStopped')).toBe('');
  });

  it('answers a resume at once, and packets while the target runs', async () => {
    const client = await Client.attach();
    expect(await client.ask('vCont;c')).toBe('OK');
    expect(client.isRunning).toBe(true);
    expect(await client.ask('m2000,4')).toBe('00010203');
    expect(await client.ask('Z0,1010,1')).toBe('OK');
    expect(await client.ask('qfThreadInfo')).toBe('mp1.1,p1.2');
    expect(await client.ask('?')).toBe('OK');
    expect(client.isRunning).toBe(true);
    expect(client.notifications()).toEqual([]);
  });

  it('tells a break-in after its answer, by a notification', async () => {
    const client = await Client.attach();
    await client.ask('vCont;c');
    expect(await client.ask('vCtrlC')).toBe('OK');
    const [notification, ...more] = client.notifications();
    expect(notification).toMatch(/^%Stop:T02thread:p1\.1;.*10:0020000000000000;/);
    expect(more).toEqual([]);
    expect(client.writes.at(-1)?.[0]).toBe('%'.charCodeAt(0));
    expect(await client.ask('vStopped')).toBe('OK');
  });

  it('stops the threads that are asked for, one event each, with no signal', async () => {
    const client = await Client.attach();
    await client.ask('vCont;c:p1.-1');
    expect(await client.ask('vCont;t:p1.-1')).toBe('OK');
    expect(client.notifications()).toEqual([expect.stringMatching(/^%Stop:T00thread:p1\.1;/)]);
    expect(await client.ask('vStopped')).toMatch(/^T00thread:p1\.2;/);
    expect(await client.ask('vStopped')).toBe('OK');
    expect(await client.ask('vCont;t:p1.2')).toBe('OK');
    expect(client.notifications()).toEqual([]);
  });

  it('needs no QThreadEvents: nothing runs from the first stop that is asked for on', async () => {
    const client = await Client.attach();
    expect(await client.ask('QThreadEvents:1')).toBe('');
    await client.ask('vCont;c');
    expect(client.isRunning).toBe(true);
    await client.ask('vCont;t:p1.2');
    expect(client.isRunning).toBe(false);
    await client.ask('vStopped');
    await client.ask('vCont;c:p1.1');
    expect(client.isRunning).toBe(false);
  });

  it('runs again when all threads are resumed that were told as stopped', async () => {
    const client = await Client.attach();
    expect(await client.ask('vCont;t:p1.2')).toBe('OK');
    expect(client.notifications()).toEqual([expect.stringMatching(/^%Stop:T00thread:p1\.2;/)]);
    await client.ask('vStopped');
    expect(await client.ask('vCont;c:p1.1')).toBe('OK');
    expect(client.isRunning).toBe(false);
    expect(await client.ask('vCont;c:p1.2')).toBe('OK');
    expect(client.isRunning).toBe(true);
  });

  it('waits for no stopped thread that has ended', async () => {
    const client = await Client.attach();
    await client.ask('vCont;t:p1.2');
    await client.ask('vStopped');
    client.target.hasSecond = false;
    expect(await client.ask('vCont;c:p1.1')).toBe('OK');
    expect(client.isRunning).toBe(true);
  });

  it('breaks in also where nothing runs: gdb waits for a thread that it has resumed', async () => {
    const client = await Client.attach();
    await client.ask('vCont;t:p1.2');
    await client.ask('vStopped');
    await client.ask('vCont;c:p1.1');
    client.notifications();
    expect(await client.ask('vCtrlC')).toBe('OK');
    expect(client.notifications()).toEqual([expect.stringMatching(/^%Stop:T02thread:p1\.1;/)]);
  });

  it('steps a thread at once while others are stopped', async () => {
    const client = await Client.attach();
    await client.ask('vCont;t');
    await client.ask('vStopped');
    client.notifications();
    expect(await client.ask('vCont;s:p1.1')).toBe('OK');
    expect(client.notifications()).toEqual([
      expect.stringMatching(/^%Stop:T05thread:p1\.1;.*10:0120000000000000;/),
    ]);
  });

  it('tells that a thread has ended which is asked to stop', async () => {
    const client = await Client.attach();
    client.target.hasSecond = false;
    expect(await client.ask('vCont;t:p1.2')).toBe('OK');
    expect(client.notifications()).toEqual(['%Stop:w0;p1.2']);
    expect(await client.ask('vStopped')).toBe('OK');
    expect(await client.ask('vCont;c:p1.2')).toBe('OK');
  });

  it('reads memory as the CPU sees it when the selected thread has ended', async () => {
    const client = await Client.attach();
    expect(await client.ask('Hgp1.2')).toBe('OK');
    client.target.hasSecond = false;
    expect(await client.ask('m2000,2')).toBe('0001');
    expect(await client.ask('Hgp1.2')).toBe('E03');
  });

  it('tells the end of the guest', async () => {
    const client = await Client.attach();
    await client.ask('P10=001f000000000000');
    expect(await client.ask('vCont;c')).toBe('OK');
    expect(client.notifications()).toEqual(['%Stop:W07;process:1']);
    expect(await client.ask('vStopped')).toBe('OK');
  });

  it('ends with the client: what is left behind runs on, and the next one finds all-stop', async () => {
    const client = await Client.attach();
    await client.ask('vCont;c');
    expect(await client.ask('D;1')).toBe('OK');
    expect(client.isRunning).toBe(true);
    const next = new SessionHarness({ target: client.target, seat: client.seat });
    expect(await next.ask('?')).toMatch(/^T02/);
    expect(await next.ask('s')).toMatch(/^T05/);
  });
});
