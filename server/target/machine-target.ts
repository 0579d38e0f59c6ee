/**
 * Our machine as a `Target`: what packets ask for, answered by the emulated PC and by what the
 * server knows of the guest's kernel. It owns the run state, the pump and the log of forks.
 */
import type {
  MachineControl,
  MachineView,
  SystemCallStop,
  TripleFaultReport,
} from '../../machine/index.ts';
import type { KernelAwareness } from '../awareness/awareness.ts';
import { findKernelAwareness } from '../awareness/find-kernel.ts';
import { ForkLog } from '../awareness/fork-log.ts';
import { GuestView } from '../awareness/guest-view.ts';
import type { FaultRecord } from '../monitor/monitor-command.ts';
import { MonitorCommands } from '../monitor/monitor-commands.ts';
import { readElf } from '../symbols/elf-file.ts';
import { allSymbols, type SymbolFile } from '../symbols/symbol-file.ts';
import { ConditionalStops } from './conditional-stops.ts';
import { ExceptionCatches } from './exception-catches.ts';
import { describeCaught, describeTripleFault } from './exception-text.ts';
import { hostImage } from './host-image.ts';
import { canBeKept, KeptStateError, KeptStates, type Recollection } from './kept-states.ts';
import { KernelModeCalls, type SystemCallFilter } from './kernel-mode-calls.ts';
import { MachineAgent } from './machine-agent.ts';
import { MachineBreakpoints } from './machine-breakpoints.ts';
import type { OfferedFile } from './machine-files.ts';
import { MachineMemory } from './machine-memory.ts';
import { MachinePump } from './machine-pump.ts';
import { MachineRegisters } from './machine-registers.ts';
import { MACHINE_PROCESS, MachineThreads, tidOfNumber } from './machine-threads.ts';
import { offerFiles } from './offered-files.ts';
import { osDataTables } from './os-data-tables.ts';
import { PlanRunner, type RunEnd } from './plan-runner.ts';
import { Inferiors } from './processes/inferiors.ts';
import { MachineProcesses } from './processes/machine-processes.ts';
import type { ProcessBreakpoints } from './processes/process-breakpoints.ts';
import type { ProcessFiles } from './processes/process-files.ts';
import { planResume } from './resume-plan.ts';
import { MachinePast, type Recording } from './reverse/machine-past.ts';
import { ReverseRunner } from './reverse/reverse-runner.ts';
import { StackWindows } from './stack-windows.ts';
import type {
  HostImage,
  MemoryRegion,
  MonitorRequest,
  MonitorResult,
  OsDataTable,
  ProcessNumber,
  StopCause,
  Target,
  TargetIdentity,
  TargetLibrary,
  TargetReverse,
  TargetState,
  TargetStop,
  TargetThread,
  ThreadNumber,
  ThreadResume,
  ThreadWhereabouts,
} from './target.ts';
import { TARGET_XML } from './target-description.ts';
import { forkTracepoint } from './tracing/fork-tracepoint.ts';
import { readOnlyRegions } from './tracing/read-only-regions.ts';
import { MachineTracepoints } from './tracing/machine-tracepoints.ts';

/** Signals by gdb's numbers. */
const SIGNAL = { SIGINT: 2, SIGTRAP: 5, SIGSEGV: 11, SIGTERM: 15 } as const;

export interface MachineTargetOptions {
  readonly machine: MachineView & MachineControl;
  /** The same machine as one that remembers. Absent: nobody goes back in time. */
  readonly recording?: Recording;
  /** The kernel image's bytes, for symbols, awareness and `qXfer:exec-file`. */
  readonly image: Uint8Array;
  /** Its name or path on the host; debuggers see /boot/NAME. */
  readonly imageName: string;
  /** The image's file, where it is one; see `hostImage`. */
  readonly imagePath?: string;
  /** Modules that debuggers may read; see `bootPath`. Programs in the image are found there. */
  readonly files?: readonly OfferedFile[];
  /** Symbols beside the image's own. */
  readonly symbolFiles?: readonly SymbolFile[];
  /** `monitor quit`, after its answer has left. Absent: the command is refused. */
  readonly onQuit?: () => void;
  /** For all moments that `monitor snapshot` keeps; absent: 1 GiB. */
  readonly snapshotBytes?: number;
  /** Milliseconds, monotonic; for tests. */
  readonly now?: () => number;
}

export class MachineTarget implements Target {
  readonly registers: MachineRegisters;
  readonly memory: MachineMemory;
  readonly breakpoints: MachineBreakpoints | ProcessBreakpoints;
  readonly files: ProcessFiles;
  readonly osData: readonly OsDataTable[];
  readonly libraries?: readonly TargetLibrary[];
  readonly hostImage?: HostImage;
  readonly tracepoints: MachineTracepoints;
  readonly reverse?: TargetReverse;
  /** Absent: the server does not know this kernel's processes. */
  readonly processes?: MachineProcesses;
  readonly monitor = {
    run: (request: MonitorRequest): MonitorResult => this.#runMonitor(request),
  };
  readonly identity: TargetIdentity = {
    triple: 'x86_64-unknown-none-elf',
    pointerBytes: 8,
    hostName: 'exoscope',
  };

  readonly isNonStop = true;

  readonly #machine: MachineView & MachineControl;
  readonly #guest: GuestView;
  readonly #agent: MachineAgent;
  readonly #threads: MachineThreads;
  readonly #windows: StackWindows;
  /** Everybody's; `breakpoints` are the debugger's. */
  readonly #breakpoints: MachineBreakpoints;
  readonly #forks: ForkLog | undefined;
  readonly #pump: MachinePump;
  readonly #monitorCommands: MonitorCommands;
  readonly #listeners = new Set<(stop: TargetStop) => void>();
  readonly #outputListeners = new Set<(text: string) => void>();
  #stop: TargetStop;
  /** Since the guest wrote the debug-exit port, switched the PC off or died of a triple fault, until it runs again. */
  #hasEnded = false;
  #isDisposed = false;
  readonly #catches: ExceptionCatches;
  readonly #conditionalStops: ConditionalStops;
  /** Absent: the kernel is not known, or has no processes in kernel mode. */
  readonly #kernelModeCalls: KernelModeCalls | undefined;
  /** What made the present stop, for `monitor why`. */
  #fault: FaultRecord | undefined;
  #runner: PlanRunner | ReverseRunner | undefined;
  /** Where the debugger was last told of a breakpoint: going on from there passes it. */
  #told: { readonly rip: bigint | undefined; readonly icount: bigint } | undefined;

  constructor(options: MachineTargetOptions) {
    const { machine, image, imagePath, symbolFiles = [] } = options;
    this.#machine = machine;
    const elf = readElf(image);
    const symbols = allSymbols(elf, symbolFiles);
    const kernel = findKernelAwareness(image, symbols);
    this.#guest = new GuestView(machine, kernel);
    const inferiors = new Inferiors(this.#guest);
    this.#threads = new MachineThreads(this.#guest, inferiors);
    this.#forks = kernel === undefined ? undefined : new ForkLog(machine, kernel);
    const forget = (): void => this.#guest.forget();
    this.registers = new MachineRegisters(machine, this.#threads, forget);
    this.#windows = new StackWindows(machine, this.#threads);
    this.memory = new MachineMemory(machine, this.#threads, this.#windows, forget);
    this.#agent = new MachineAgent(machine, this.#guest);
    this.#breakpoints = new MachineBreakpoints(machine, this.#agent);
    this.tracepoints = new MachineTracepoints({
      machine,
      agent: this.#agent,
      breakpoints: this.#breakpoints,
      own: forkTracepoint(kernel),
      isRepeating: () => options.recording?.machine.isRepeating === true,
      readOnly: readOnlyRegions(elf),
    });
    const { files, offer } = offerFiles({ ...options, elf, guest: this.#guest, inferiors });
    this.files = files;
    if (offer.libraries.length > 0) this.libraries = offer.libraries;
    // Symbols that the user has given go before those of the image.
    const onHost = imagePath === undefined ? undefined : hostImage(imagePath, elf);
    if (onHost !== undefined && symbolFiles.length === 0) this.hostImage = onHost;
    const processes = this.#findProcesses(inferiors, files);
    if (processes !== undefined) this.processes = processes;
    this.breakpoints = processes?.breakpoints ?? this.#breakpoints;
    this.#pump = new MachinePump(
      machine,
      (end, thread) => this.#halted(this.#describeEnd(end, thread)),
      options.now,
    );
    if (options.recording !== undefined) this.reverse = this.#past(options.recording, kernel);
    this.#catches = new ExceptionCatches(machine);
    const gate = kernel?.kernelModeGate;
    this.#kernelModeCalls =
      gate === undefined ? undefined : new KernelModeCalls(machine, this.#breakpoints, gate);
    this.#conditionalStops = new ConditionalStops(this.#breakpoints, this.#agent, symbols);
    this.#monitorCommands = new MonitorCommands({
      machine,
      guest: this.#guest,
      forks: this.#forks,
      symbols,
      catches: this.#catches,
      conditionalStops: this.#conditionalStops,
      ...(this.processes === undefined ? {} : { processes: this.processes }),
      fault: () => (this.#pump.isRunning ? undefined : this.#fault),
      stopMessage: () => this.#stopMessage(),
      ...this.#keptStates(options.snapshotBytes),
      reset: () => this.#powerCycle(),
      ...(options.onQuit === undefined ? {} : { quit: options.onQuit }),
    });
    this.osData = osDataTables({ machine, guest: this.#guest, forks: this.#forks, symbols });
    this.#stop = this.#stopped(SIGNAL.SIGTRAP, { kind: 'reset' });
  }

  /** Undefined: the kernel is not known, or its image does not tell where processes are made. */
  #findProcesses(inferiors: Inferiors, files: ProcessFiles): MachineProcesses | undefined {
    const guest = this.#guest;
    const { kernel } = guest;
    if (kernel === undefined || kernel.processEventPoints.length === 0) return undefined;
    const { processEventPoints: points } = kernel;
    const [machine, threads, breakpoints] = [this.#machine, this.#threads, this.#breakpoints];
    return new MachineProcesses({ machine, guest, points, threads, inferiors, breakpoints, files });
  }

  description(annex: string, client: 'gdb' | 'lldb' = 'gdb'): string | undefined {
    return annex === 'target.xml' ? TARGET_XML[client] : undefined;
  }

  threads(): readonly TargetThread[] {
    return this.#threads.list();
  }

  whereabouts(thread: ThreadNumber): ThreadWhereabouts | undefined {
    if (!this.#threads.has(thread)) return undefined;
    const process = this.#threads.processOf(thread);
    return process === undefined ? undefined : { process, core: 0 };
  }

  currentThread(): ThreadNumber {
    return this.#threads.shown();
  }

  state(): TargetState {
    if (this.#pump.isRunning) return { kind: 'running' };
    return { kind: 'halted', stop: this.#stop, hasEnded: this.#hasEnded };
  }

  resume(threads: readonly ThreadResume[]): void {
    if (this.#isDisposed) return;
    const plan = planResume(threads, this.#threads.current(), (thread) =>
      this.#threads.processOf(thread),
    );
    if (plan.kind === 'step') this.#threads.place(plan.thread);
    const waiting = this.processes?.resume(plan);
    if (waiting !== undefined) {
      this.#halted(waiting);
      return;
    }
    const isTold =
      this.#told?.icount === this.#machine.icount &&
      this.#told.rip === this.#machine.readRegister('rip');
    const parts = {
      machine: this.#machine,
      guest: this.#guest,
      threads: this.#threads,
      breakpoints: this.#breakpoints,
      processes: this.processes,
      tracing: this.tracepoints,
      isSliceOver: () => this.#agent.takeSliceEnd(),
      afterSlice: () => {
        this.tracepoints.afterSlice();
        this.#sendOutput();
      },
    };
    this.#hasEnded = false;
    this.#fault = undefined;
    this.#kernelModeCalls?.beginRun();
    this.#runner = new PlanRunner(parts, plan, isTold);
    this.#pump.start(this.#runner);
  }

  #past(recording: Recording, kernel: KernelAwareness | undefined): MachinePast {
    return new MachinePast({
      recording,
      kernel,
      breakpoints: this.#breakpoints,
      hasProcesses: () => this.processes?.isActive === true,
      currentThread: () => this.#threads.current(),
      start: (runner) => {
        this.#runner = runner;
        if (!this.#isDisposed) this.#pump.start(runner);
      },
      giveUp: () => {
        if (this.#runner instanceof ReverseRunner) this.interrupt();
      },
      onTravel: () => {
        this.#jumped();
        this.#forks?.goBack();
      },
    });
  }

  readonly catchSystemCalls = (numbers: SystemCallFilter): void => {
    this.#machine.catchSystemCalls(numbers);
    if (this.#kernelModeCalls !== undefined) this.#kernelModeCalls.filter = numbers;
  };

  interrupt(): void {
    if (!this.#pump.isRunning) return;
    this.#pump.halt();
    this.#guest.forget();
    const thread = this.#runner?.reportedThread ?? this.#threads.current();
    this.#halted(this.#stopped(SIGNAL.SIGINT, { kind: 'interrupt' }, this.#toldThread(thread)));
  }

  onStop(listener: (stop: TargetStop) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onOutput(listener: (text: string) => void): () => void {
    this.#outputListeners.add(listener);
    return () => this.#outputListeners.delete(listener);
  }

  readonly memoryRegion = (thread: ThreadNumber, address: bigint): MemoryRegion =>
    this.memory.region(thread, address);

  readonly unambiguousPointers = (thread: ThreadNumber, registers: Uint8Array): Uint8Array =>
    this.#windows.pointersIn(thread, 0n, registers);

  /** Power cycle; halted before the first instruction afterwards. */
  readonly restart = (): void => {
    const wasRunning = this.#pump.isRunning;
    this.#pump.halt();
    this.#powerCycle();
    if (wasRunning) this.#halted(this.#stop);
  };

  /** Bytes for the guest's serial console; wakes an idle guest. */
  enterSerialInput(bytes: Uint8Array): void {
    this.#pump.wake();
    this.#machine.enterSerialInput(bytes);
  }

  /**
   * Halts for good and takes its hooks out of the machine. A session that closes later and would let
   * the machine go on keeps no process alive.
   */
  dispose(): void {
    this.#isDisposed = true;
    this.#pump.halt();
    this.#forks?.dispose();
    this.tracepoints.dispose();
    this.#listeners.clear();
    this.#outputListeners.clear();
  }

  /** What breakpoint commands have printed in the slice. */
  #sendOutput(): void {
    const text = this.#agent.takeOutput();
    if (text === '') return;
    for (const listener of [...this.#outputListeners]) listener(text);
  }

  /** A running machine goes on with the new boot. */
  #powerCycle(): void {
    this.processes?.powerCycles();
    this.#machine.reset();
    this.#forks?.clear();
    this.tracepoints.powerCycled();
    this.#jumped();
    this.#pump.wake();
    if (!this.#pump.isRunning) this.#stop = this.#stopped(SIGNAL.SIGTRAP, { kind: 'reset' });
  }

  /** The machine is elsewhere without having run there. */
  #jumped(): void {
    this.#guest.forget();
    this.#kernelModeCalls?.reset();
    this.#told = undefined;
    this.#hasEnded = false;
    this.#fault = undefined;
  }

  #keptStates(mostBytes = 2 ** 30): { readonly states?: KeptStates } {
    const machine = this.#machine;
    if (!canBeKept(machine)) return {};
    const leave = (): void => {
      if (this.processes?.isActive === true) {
        throw new KeptStateError(
          'gdb has the processes as inferiors, and those of then are others: `processes-as-inferiors off`, and attach again',
        );
      }
      // The time that an idle guest has slept has passed before it goes back.
      this.#pump.wake();
    };
    const recollect = (): Recollection => this.#recollect();
    return { states: new KeptStates({ machine, mostBytes, recollect, leave }) };
  }

  /** What goes back with the machine; a running one goes on from there. */
  #recollect(): Recollection {
    const forks = this.#forks?.remember();
    const frames = this.tracepoints.ownFrames();
    const [told, hasEnded] = [this.#told, this.#hasEnded];
    const recall = (): void => {
      forks?.();
      this.tracepoints.goneBack(frames);
      this.#jumped();
      if (this.#pump.isRunning) return;
      this.#told = told;
      this.#hasEnded = hasEnded;
      this.#stop = this.#stopped(SIGNAL.SIGTRAP, { kind: 'interrupt' });
    };
    return { bytes: frames?.bytes.length ?? 0, recall };
  }

  /** The thread that a stop in this one is told of: one that the debugger has and has resumed. */
  #toldThread(thread: ThreadNumber): ThreadNumber {
    return this.processes?.toldThread(thread) ?? thread;
  }

  #halted(stop: TargetStop): void {
    this.#runner = undefined;
    const isCaught = this.#fault?.kind === 'caught';
    const isCrash = stop.kind === 'stopped' && stop.cause.kind === 'exception' && !isCaught;
    this.#hasEnded = stop.kind === 'exited' || isCrash;
    this.#stop = this.#lookableStop(stop);
    for (const listener of [...this.#listeners]) listener(stop);
  }

  /** A machine whose guest, or one of its processes, has ended can be looked at: `?` tells of a stop. */
  #lookableStop(stop: TargetStop): TargetStop {
    if (stop.kind === 'stopped') return stop;
    const thread = this.#threads.shown();
    if (stop.kind === 'process-exited') {
      return this.#stopped(SIGNAL.SIGTRAP, { kind: 'interrupt' }, thread);
    }
    const description = `the guest has ended with status ${stop.status}`;
    return this.#stopped(SIGNAL.SIGTERM, { kind: 'exception', description }, thread);
  }

  #stopped(
    signal: number,
    cause: StopCause,
    thread: ThreadNumber = this.#threads.current(),
  ): TargetStop & { kind: 'stopped' } {
    return { kind: 'stopped', thread, signal, cause };
  }

  #describeEnd(end: RunEnd, stoppedThread: ThreadNumber): TargetStop {
    const thread = this.#toldThread(stoppedThread);
    switch (end.kind) {
      case 'process':
        this.#told = { rip: this.#machine.readRegister('rip'), icount: this.#machine.icount };
        return end.stop;
      case 'step':
      case 'no-resumed':
        return this.#stopped(SIGNAL.SIGTRAP, { kind: end.kind }, thread);
      case 'history-begin': {
        const { kind, ...message } = end;
        return { ...this.#stopped(SIGNAL.SIGTRAP, { kind }, thread), ...message };
      }
      case 'breakpoint': {
        this.#told = { rip: end.address, icount: this.#machine.icount };
        const isHardware = this.#breakpoints.isHardwareAt(end.address);
        return this.#stoppedByOwners({ ...end, isHardware }, thread);
      }
      case 'watchpoint':
        return this.#stoppedByOwners(end, thread);
      case 'system-call':
        return this.#stoppedInCall(end, thread);
      case 'exception':
        return this.#describeCaught(end.report, thread);
      case 'debug-exit':
        return { kind: 'exited', status: end.value & 0xff, process: this.#processOf(thread) };
      case 'power-off':
        return { kind: 'exited', status: 0, process: this.#processOf(thread) };
      case 'reset-request':
        return this.#guestReset();
      case 'triple-fault': {
        this.#fault = { ...end.report, kind: 'triple fault' };
        const text = describeTripleFault(end.report, this.#monitorCommands.symbols);
        const cause = { kind: 'exception', description: text[0]! } as const;
        const message = `${text.join('\n')}\n`;
        return { ...this.#stopped(SIGNAL.SIGSEGV, cause, thread), message };
      }
    }
  }

  /** At a breakpoint or watchpoint: of the debugger's, or one with a condition of the server's own. */
  #stoppedByOwners(
    cause: Extract<StopCause, { kind: 'breakpoint' | 'watchpoint' }>,
    thread: ThreadNumber,
  ): TargetStop {
    const own: readonly (object | undefined)[] = [this.#runner, this.processes?.owner];
    const owners = this.#breakpoints.stoppedFor(cause).filter((owner) => !own.includes(owner));
    const lines = this.#conditionalStops.describe(owners);
    const message = lines.length === 0 ? {} : { message: `${lines.join('\n')}\n` };
    const call = this.#kernelModeCalls?.stoppedFor(owners);
    const isClients = owners.length > lines.length + (call === undefined ? 0 : 1);
    if (call !== undefined && !isClients)
      return { ...this.#stoppedInCall(call, thread), ...message };
    const [description] = isClients ? [] : lines;
    const told = description === undefined ? cause : { ...cause, foreign: { description } };
    return { ...this.#stopped(SIGNAL.SIGTRAP, told, thread), ...message };
  }

  #processOf(thread: ThreadNumber): ProcessNumber {
    return this.processes?.of(thread) ?? MACHINE_PROCESS;
  }

  #stopMessage(): string | undefined {
    if (this.#pump.isRunning || this.#stop.kind !== 'stopped') return undefined;
    return this.#stop.message?.trimEnd();
  }

  #stoppedInCall({ phase, number }: SystemCallStop, thread: ThreadNumber): TargetStop {
    this.#machine.writeRegister('orig_rax', BigInt(number));
    const known = this.#guest.kernel?.systemCalls.find((call) => call.number === number);
    const name = known === undefined ? {} : { name: known.name };
    return this.#stopped(SIGNAL.SIGTRAP, { kind: 'system-call', phase, number, ...name }, thread);
  }

  #describeCaught(report: TripleFaultReport, thread: ThreadNumber): TargetStop {
    this.#fault = { ...report, kind: 'caught' };
    const { text, signal } = describeCaught(report, this.#monitorCommands.symbols);
    const cause = { kind: 'exception', description: text } as const;
    const message = `${text}\nit is not delivered yet: monitor why explains, stepi enters its handler\n`;
    return { ...this.#stopped(signal, cause, thread), message };
  }

  #guestReset(): TargetStop {
    this.#powerCycle();
    const message = 'the guest asked for a reset: halted before the first instruction\n';
    return { ...this.#stopped(SIGNAL.SIGTRAP, { kind: 'reset' }), message };
  }

  #runMonitor(request: MonitorRequest): MonitorResult {
    const { commandLine, access, thread } = request;
    return this.#monitorCommands.run({
      commandLine,
      access,
      selectedTid: tidOfNumber(thread),
      output: (text) => request.output(text),
    });
  }
}
