/**
 * Monitor commands before a stub: those that are made of the guest's lists are answered here, all others
 * by the stub. A stub answers nothing while its machine runs. With nobody attached the machine is halted
 * for the moment that the answer takes; a debugger that let it run is not disturbed.
 */
import type { GuestProcess, Listing } from '../awareness/awareness.ts';
import { forksText, NO_FORKS } from '../monitor/forks.ts';
import { MonitorError } from '../monitor/monitor-command.ts';
import { processesTable } from '../monitor/processes.ts';
import { threadsTable, type ThreadsView } from '../monitor/threads.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import type { MonitorAccess, MonitorRequest, MonitorResult } from '../target/target.ts';
import type { ForkRecorder } from './fork-recorder.ts';
import type { Upstream } from './upstream.ts';

export interface MonitoredStub {
  readonly upstream: Upstream;
  readonly isRunning: () => boolean;
  /** Resolves when the machine has halted. */
  readonly halt: () => Promise<void>;
  readonly threads: () => Promise<ThreadsView>;
  readonly processes: () => Promise<Listing<GuestProcess>>;
  readonly forks: ForkRecorder;
  readonly symbols: SymbolTable;
}

interface OwnCommand {
  readonly access: MonitorAccess;
  /** The answer; throws `MonitorError`. */
  readonly run: () => Promise<string>;
}

const RECORDING =
  'true registers of forks are recorded: the stub stops at each fork for as long as that takes';
const NOT_RECORDING = "true registers of forks are not recorded: there is the guest's ring alone";
const HINT =
  'true registers are not recorded; `forks record on` does, at one stop of the stub for each fork';

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
    const own = this.ownCommand(request.commandLine.trim().split(/\s+/));
    const isForAll = own?.access === 'look' || request.access === 'control';
    if (!isForAll) {
      return { failure: 'a debugger is attached: what moves or changes the stub is its own' };
    }
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

  private ownCommand([name, ...args]: readonly string[]): OwnCommand | undefined {
    const look = (run: OwnCommand['run']): OwnCommand => ({ access: 'look', run });
    if (name === 'forks') {
      if (args[0] !== 'record') return look(() => this.forks(args));
      return {
        access: args.length > 1 ? 'control' : 'look',
        run: () => this.record(args.slice(1)),
      };
    }
    if (args.length > 0) return undefined;
    if (name === 'threads') return look(async () => threadsTable(await this.stub.threads()));
    if (name === 'processes') return look(async () => processesTable(await this.stub.processes()));
    return undefined;
  }

  private async forks(args: readonly string[]): Promise<string> {
    const forks = await this.stub.forks.forks();
    if (forks === undefined) throw new MonitorError(NO_FORKS);
    if (args.length > 1) throw new MonitorError('usage: forks [N], forks record [on|off]');
    const text = forksText(forks, this.stub.symbols, args[0]);
    return this.stub.forks.isRecording ? text : `${text}\n${HINT}`;
  }

  private async record(args: readonly string[]): Promise<string> {
    const [wanted] = args;
    const { forks } = this.stub;
    if (args.length > 1 || (wanted !== undefined && !/^(on|off)$/.test(wanted))) {
      throw new MonitorError('usage: forks record [on|off]');
    }
    if (wanted !== undefined && !(await forks.record(wanted === 'on'))) {
      const isKnown = (await forks.forks()) !== undefined;
      throw new MonitorError(isKnown ? 'the stub refuses the breakpoints for it' : NO_FORKS);
    }
    return forks.isRecording ? RECORDING : NOT_RECORDING;
  }

  private async print({ output }: MonitorRequest, command: OwnCommand): Promise<MonitorResult> {
    try {
      output(`${await command.run()}\n`);
    } catch (error) {
      if (!(error instanceof MonitorError)) throw error;
      return { failure: error.message };
    }
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
