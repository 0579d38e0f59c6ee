/**
 * Monitor commands before a stub: those that are made of the guest's lists are answered here, all others
 * by the stub. A stub answers nothing while its machine runs. With nobody attached the machine is halted
 * for the moment that the answer takes; a debugger that let it run is not disturbed.
 */
import type { GuestProcess, Listing } from '../awareness/awareness.ts';
import { processesTable } from '../monitor/processes.ts';
import { threadsTable, type ThreadsView } from '../monitor/threads.ts';
import type { MonitorRequest, MonitorResult } from '../target/target.ts';
import type { Upstream } from './upstream.ts';

export interface MonitoredStub {
  readonly upstream: Upstream;
  readonly isRunning: () => boolean;
  /** Resolves when the machine has halted. */
  readonly halt: () => Promise<void>;
  readonly threads: () => Promise<ThreadsView>;
  readonly processes: () => Promise<Listing<GuestProcess>>;
}

export class ProxyMonitor {
  private readonly stub: MonitoredStub;
  /** One after the other: the first would let the machine go on under the second. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(stub: MonitoredStub) {
    this.stub = stub;
  }

  run(request: MonitorRequest): Promise<MonitorResult> {
    const result = this.last.then(() => this.answer(request));
    this.last = result.catch(() => undefined);
    return result;
  }

  private async answer(request: MonitorRequest): Promise<MonitorResult> {
    const own = this.ownCommand(request.commandLine.trim());
    const isForAll = own !== undefined || request.access === 'control';
    if (!isForAll) return { failure: 'a debugger is attached: the monitor of the stub is its own' };
    const wasRunning = this.stub.isRunning();
    if (wasRunning && request.access === 'look') {
      return {
        failure: 'the machine runs for its debugger, and its stub answers only when it halts',
      };
    }
    if (wasRunning) await this.stub.halt();
    const answer = await (own === undefined ? this.askStub(request) : this.print(request, own));
    return { ...answer, hasHalted: wasRunning };
  }

  private ownCommand(commandLine: string): (() => Promise<string>) | undefined {
    if (commandLine === 'threads') return async () => threadsTable(await this.stub.threads());
    if (commandLine === 'processes') return async () => processesTable(await this.stub.processes());
    return undefined;
  }

  private async print(
    { output }: MonitorRequest,
    command: () => Promise<string>,
  ): Promise<MonitorResult> {
    output(`${await command()}\n`);
    return {};
  }

  /** It may answer in words and then `OK`. */
  private async askStub({ commandLine, output }: MonitorRequest): Promise<MonitorResult> {
    const text = (hex: string): void => output(Buffer.from(hex, 'hex').toString('utf8'));
    const request = `qRcmd,${Buffer.from(commandLine).toString('hex')}`;
    const answer = (await this.stub.upstream.request(request, text)).toString('latin1');
    if (answer === 'OK') return {};
    if (answer === '') return { failure: 'the stub behind the proxy has no monitor commands' };
    if (answer.startsWith('E')) return { failure: `the stub answers ${answer}` };
    text(answer);
    return {};
  }
}
