/**
 * The stops of our machine, as debuggers and `monitor why` are told of them: what the end of a run is
 * called, for whom it is, and what is known of the present one.
 */
import type {
  MachineControl,
  MachineView,
  SystemCallStop,
  TripleFaultReport,
} from '../../machine/index.ts';
import type { GuestView } from '../awareness/guest-view.ts';
import type { FaultRecord } from '../monitor/monitor-command.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import type { ConditionalStops } from './conditional-stops.ts';
import { describeCaught, describeTripleFault } from './exception-text.ts';
import type { KernelModeCalls } from './kernel-mode-calls.ts';
import type { MachineBreakpoints } from './machine-breakpoints.ts';
import { MACHINE_PROCESS, type MachineThreads } from './machine-threads.ts';
import type { RunEnd } from './plan-runner.ts';
import type { MachineProcesses } from './processes/machine-processes.ts';
import type { ProcessNumber, StopCause, TargetStop, ThreadNumber } from './target.ts';

/** Signals by gdb's numbers. */
const SIGNAL = { SIGINT: 2, SIGTRAP: 5, SIGSEGV: 11, SIGTERM: 15 } as const;

type Stopped = TargetStop & { readonly kind: 'stopped' };

export interface MachineStopsParts {
  readonly machine: MachineView & MachineControl;
  readonly guest: GuestView;
  readonly threads: MachineThreads;
  /** Everybody's. */
  readonly breakpoints: MachineBreakpoints;
  readonly conditionalStops: ConditionalStops;
  /** Absent: the kernel is not known, or has no processes in kernel mode. */
  readonly kernelModeCalls: KernelModeCalls | undefined;
  /** Absent: the server does not know this kernel's processes. */
  readonly processes: MachineProcesses | undefined;
  readonly symbols: SymbolTable;
}

export class MachineStops {
  readonly #parts: MachineStopsParts;
  #present: TargetStop;
  #hasEnded = false;
  #fault: FaultRecord | undefined;
  /** Where the debugger was last told of a breakpoint. */
  #told: { readonly rip: bigint | undefined; readonly icount: bigint } | undefined;

  constructor(parts: MachineStopsParts) {
    this.#parts = parts;
    this.#present = this.#stopped(SIGNAL.SIGTRAP, { kind: 'reset' });
  }

  /** The last one: of a machine that is halted, why. */
  get present(): TargetStop {
    return this.#present;
  }

  /** Since the guest wrote the debug-exit port, switched the PC off or died of a triple fault, until it runs again. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** What made the present stop, for `monitor why`. */
  get fault(): FaultRecord | undefined {
    return this.#fault;
  }

  /** What the present stop says beside its cause, without a final line feed. */
  get message(): string | undefined {
    return this.#present.kind === 'stopped' ? this.#present.message?.trimEnd() : undefined;
  }

  /** Whether the debugger was told of a breakpoint where the machine stands: going on passes it. */
  get isTold(): boolean {
    const { machine } = this.#parts;
    return this.#told?.icount === machine.icount && this.#told.rip === machine.readRegister('rip');
  }

  /** The machine goes on. */
  resumed(): void {
    this.#hasEnded = false;
    this.#fault = undefined;
  }

  /** The machine is elsewhere without having run there. */
  jumped(): void {
    this.resumed();
    this.#told = undefined;
  }

  /** The present stop is one before the first instruction. */
  reset(message?: string): Stopped {
    const told = message === undefined ? {} : { message };
    const stop = { ...this.#stopped(SIGNAL.SIGTRAP, { kind: 'reset' }), ...told };
    this.#present = stop;
    return stop;
  }

  /** The debugger is told of it. */
  told(stop: TargetStop): void {
    const isCaught = this.#fault?.kind === 'caught';
    const isCrash = stop.kind === 'stopped' && stop.cause.kind === 'exception' && !isCaught;
    this.#hasEnded = stop.kind === 'exited' || isCrash;
    this.#present = this.#lookable(stop);
  }

  /** What goes back with the machine, when it is halted then. */
  remember(): () => void {
    const [told, hasEnded] = [this.#told, this.#hasEnded];
    return () => {
      this.#told = told;
      this.#hasEnded = hasEnded;
      this.#present = this.#stopped(SIGNAL.SIGTRAP, { kind: 'interrupt' });
    };
  }

  /** Somebody has broken in while `thread` was being run. */
  ofInterrupt(thread: ThreadNumber): Stopped {
    return this.#stopped(SIGNAL.SIGINT, { kind: 'interrupt' }, this.#toldThread(thread));
  }

  /** Of a run of `runner`, whose own breakpoints are for nobody else. */
  ofEnd(
    end: Exclude<RunEnd, { kind: 'reset-request' }>,
    stoppedThread: ThreadNumber,
    runner: object | undefined,
  ): TargetStop {
    const thread = this.#toldThread(stoppedThread);
    const { machine, breakpoints } = this.#parts;
    switch (end.kind) {
      case 'process':
        this.#told = { rip: machine.readRegister('rip'), icount: machine.icount };
        return end.stop;
      case 'step':
      case 'no-resumed':
        return this.#stopped(SIGNAL.SIGTRAP, { kind: end.kind }, thread);
      case 'history-begin': {
        const { kind, ...message } = end;
        return { ...this.#stopped(SIGNAL.SIGTRAP, { kind }, thread), ...message };
      }
      case 'breakpoint': {
        this.#told = { rip: end.address, icount: machine.icount };
        const isHardware = breakpoints.isHardwareAt(end.address);
        return this.#ofOwners({ ...end, isHardware }, thread, runner);
      }
      case 'watchpoint':
        return this.#ofOwners(end, thread, runner);
      case 'system-call':
        return this.#ofCall(end, thread);
      case 'exception':
        return this.#ofCaught(end.report, thread);
      case 'debug-exit':
        return { kind: 'exited', status: end.value & 0xff, process: this.#processOf(thread) };
      case 'power-off':
        return { kind: 'exited', status: 0, process: this.#processOf(thread) };
      case 'triple-fault':
        return this.#ofTripleFault(end.report, thread);
    }
  }

  /** At a breakpoint or watchpoint: of the debugger's, or one with a condition of the server's own. */
  #ofOwners(
    cause: Extract<StopCause, { kind: 'breakpoint' | 'watchpoint' }>,
    thread: ThreadNumber,
    runner: object | undefined,
  ): TargetStop {
    const { breakpoints, conditionalStops, kernelModeCalls, processes } = this.#parts;
    const own: readonly (object | undefined)[] = [runner, processes?.owner];
    const owners = breakpoints.stoppedFor(cause).filter((owner) => !own.includes(owner));
    const lines = conditionalStops.describe(owners);
    const message = lines.length === 0 ? {} : { message: `${lines.join('\n')}\n` };
    const call = kernelModeCalls?.stoppedFor(owners);
    const isClients = owners.length > lines.length + (call === undefined ? 0 : 1);
    if (call !== undefined && !isClients) return { ...this.#ofCall(call, thread), ...message };
    const [description] = isClients ? [] : lines;
    const told = description === undefined ? cause : { ...cause, foreign: { description } };
    return { ...this.#stopped(SIGNAL.SIGTRAP, told, thread), ...message };
  }

  #ofCall({ phase, number }: SystemCallStop, thread: ThreadNumber): Stopped {
    const { machine, guest } = this.#parts;
    machine.writeRegister('orig_rax', BigInt(number));
    const known = guest.kernel?.systemCalls.find((call) => call.number === number);
    const name = known === undefined ? {} : { name: known.name };
    return this.#stopped(SIGNAL.SIGTRAP, { kind: 'system-call', phase, number, ...name }, thread);
  }

  #ofCaught(report: TripleFaultReport, thread: ThreadNumber): Stopped {
    this.#fault = { ...report, kind: 'caught' };
    const { text, signal } = describeCaught(report, this.#parts.symbols);
    const cause = { kind: 'exception', description: text } as const;
    const message = `${text}\nit is not delivered yet: monitor why explains, stepi enters its handler\n`;
    return { ...this.#stopped(signal, cause, thread), message };
  }

  #ofTripleFault(report: TripleFaultReport, thread: ThreadNumber): Stopped {
    this.#fault = { ...report, kind: 'triple fault' };
    const text = describeTripleFault(report, this.#parts.symbols);
    const cause = { kind: 'exception', description: text[0]! } as const;
    const message = `${text.join('\n')}\n`;
    return { ...this.#stopped(SIGNAL.SIGSEGV, cause, thread), message };
  }

  /** A machine whose guest, or one of its processes, has ended can be looked at: `?` tells of a stop. */
  #lookable(stop: TargetStop): TargetStop {
    if (stop.kind === 'stopped') return stop;
    const thread = this.#parts.threads.shown();
    if (stop.kind === 'process-exited') {
      return this.#stopped(SIGNAL.SIGTRAP, { kind: 'interrupt' }, thread);
    }
    const description = `the guest has ended with status ${stop.status}`;
    return this.#stopped(SIGNAL.SIGTERM, { kind: 'exception', description }, thread);
  }

  /** The thread that a stop in this one is told of: one that the debugger has and has resumed. */
  #toldThread(thread: ThreadNumber): ThreadNumber {
    return this.#parts.processes?.toldThread(thread) ?? thread;
  }

  #processOf(thread: ThreadNumber): ProcessNumber {
    return this.#parts.processes?.of(thread) ?? MACHINE_PROCESS;
  }

  #stopped(
    signal: number,
    cause: StopCause,
    thread: ThreadNumber = this.#parts.threads.current(),
  ): Stopped {
    return { kind: 'stopped', thread, signal, cause };
  }
}
