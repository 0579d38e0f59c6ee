/**
 * Our machine as a `Target`: what packets ask for, answered by the emulated PC and by what the
 * server knows of the guest's kernel. It owns the run state, the pump and the log of forks.
 */
import type { MachineControl, MachineView } from '../../machine/index.ts';
import type { KernelAwareness } from '../awareness/awareness.ts';
import { findKernelAmong } from '../awareness/find-kernel.ts';
import { ForkLog } from '../awareness/fork-log.ts';
import { GuestView } from '../awareness/guest-view.ts';
import { MonitorCommands } from '../monitor/monitor-commands.ts';
import { readElf } from '../symbols/elf-file.ts';
import { allSymbols, type SymbolFile } from '../symbols/symbol-file.ts';
import { ConditionalStops } from './conditional-stops.ts';
import { ExceptionCatches } from './exception-catches.ts';
import { hostImage } from './host-image.ts';
import { canBeKept, KeptStateError, KeptStates, type Recollection } from './kept-states.ts';
import { KernelModeCalls, type SystemCallFilter } from './kernel-mode-calls.ts';
import { MachineAgent } from './machine-agent.ts';
import { MachineBreakpoints } from './machine-breakpoints.ts';
import type { OfferedFile } from './machine-files.ts';
import { MachineMemory } from './machine-memory.ts';
import { MachinePump } from './machine-pump.ts';
import { MachineRegisters } from './machine-registers.ts';
import { MachineStops } from './machine-stops.ts';
import { MachineThreads, tidOfNumber } from './machine-threads.ts';
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
import { type Architecture, REGISTER_SETS, type RegisterSet } from './register-set.ts';
import { architectureOf, TRIPLES } from './image-architecture.ts';
import { targetDescription } from './target-description.ts';
import { forkTracepoint } from './tracing/fork-tracepoint.ts';
import { readOnlyRegions } from './tracing/read-only-regions.ts';
import { MachineTracepoints } from './tracing/machine-tracepoints.ts';

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
  /** What debuggers take the machine for; absent: what fits the image. */
  readonly architecture?: Architecture;
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
  readonly identity: TargetIdentity;

  readonly isNonStop = true;

  readonly #set: RegisterSet;
  readonly #machine: MachineView & MachineControl;
  readonly #guest: GuestView;
  readonly #agent: MachineAgent;
  readonly #threads: MachineThreads;
  readonly #windows: StackWindows;
  /** Everybody's; `breakpoints` are the debugger's. */
  readonly #breakpoints: MachineBreakpoints;
  readonly #forks: ForkLog | undefined;
  readonly #pump: MachinePump;
  readonly #stops: MachineStops;
  readonly #monitorCommands: MonitorCommands;
  readonly #listeners = new Set<(stop: TargetStop) => void>();
  readonly #outputListeners = new Set<(text: string) => void>();
  #isDisposed = false;
  /** Absent: the kernel is not known, or has no processes in kernel mode. */
  readonly #kernelModeCalls: KernelModeCalls | undefined;
  #runner: PlanRunner | ReverseRunner | undefined;

  constructor(options: MachineTargetOptions) {
    const { machine, image, imagePath, symbolFiles = [] } = options;
    this.#machine = machine;
    const elf = readElf(image);
    const architecture = options.architecture ?? architectureOf(elf, symbolFiles);
    const set = REGISTER_SETS[architecture];
    this.#set = set;
    this.identity = {
      triple: TRIPLES[architecture],
      pointerBytes: set.pointerBytes,
      hostName: 'exoscope',
    };
    const symbols = allSymbols(elf, symbolFiles);
    const kernel = findKernelAmong([image, ...symbolFiles.map(({ content }) => content)], symbols);
    this.#guest = new GuestView(machine, kernel);
    const inferiors = new Inferiors(this.#guest);
    this.#threads = new MachineThreads(this.#guest, inferiors);
    const isForking = kernel !== undefined && kernel.forkEntryPoints.length > 0;
    this.#forks = isForking ? new ForkLog(machine, kernel) : undefined;
    const forget = (): void => this.#guest.forget();
    this.registers = new MachineRegisters(machine, this.#threads, set, forget);
    this.#windows = new StackWindows(machine, this.#threads);
    this.memory = new MachineMemory(machine, this.#threads, this.#windows, forget);
    this.#agent = new MachineAgent(machine, this.#guest, set);
    this.#breakpoints = new MachineBreakpoints(machine, this.#agent);
    this.tracepoints = new MachineTracepoints({
      machine,
      agent: this.#agent,
      set,
      breakpoints: this.#breakpoints,
      own: forkTracepoint(kernel, set),
      isRepeating: () => options.recording?.machine.isRepeating === true,
      readOnly: readOnlyRegions(elf),
    });
    const { files, offer } = offerFiles({
      ...options,
      elf,
      guest: this.#guest,
      inferiors,
      architecture,
    });
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
      (end, thread) => this.#halted(this.#stopOf(end, thread)),
      options.now,
    );
    if (options.recording !== undefined) this.reverse = this.#past(options.recording, kernel);
    const gate = kernel?.kernelModeGate;
    this.#kernelModeCalls =
      gate === undefined ? undefined : new KernelModeCalls(machine, this.#breakpoints, gate);
    const conditionalStops = new ConditionalStops(this.#breakpoints, this.#agent, symbols, set);
    this.#stops = new MachineStops({
      machine,
      guest: this.#guest,
      threads: this.#threads,
      breakpoints: this.#breakpoints,
      conditionalStops,
      kernelModeCalls: this.#kernelModeCalls,
      processes,
      symbols,
    });
    this.#monitorCommands = new MonitorCommands({
      machine,
      guest: this.#guest,
      forks: this.#forks,
      symbols,
      catches: new ExceptionCatches(machine),
      conditionalStops,
      ...(this.processes === undefined ? {} : { processes: this.processes }),
      fault: () => (this.#pump.isRunning ? undefined : this.#stops.fault),
      stopMessage: () => (this.#pump.isRunning ? undefined : this.#stops.message),
      ...this.#keptStates(options.snapshotBytes),
      reset: () => this.#powerCycle(),
      ...(options.onQuit === undefined ? {} : { quit: options.onQuit }),
    });
    this.osData = osDataTables({ machine, guest: this.#guest, forks: this.#forks, symbols });
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
    return annex === 'target.xml' ? targetDescription(this.#set, client) : undefined;
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
    return { kind: 'halted', stop: this.#stops.present, hasEnded: this.#stops.hasEnded };
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
    this.#stops.resumed();
    this.#kernelModeCalls?.beginRun();
    this.#runner = new PlanRunner(parts, plan, this.#stops.isTold);
    this.#pump.start(this.#runner);
  }

  #past(recording: Recording, kernel: KernelAwareness | undefined): MachinePast {
    return new MachinePast({
      recording,
      kernel,
      set: this.#set,
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
    this.#halted(this.#stops.ofInterrupt(thread));
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
    if (wasRunning) this.#halted(this.#stops.present);
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
    if (!this.#pump.isRunning) this.#stops.reset();
  }

  /** The machine is elsewhere without having run there. */
  #jumped(): void {
    this.#guest.forget();
    this.#kernelModeCalls?.reset();
    this.#stops.jumped();
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
    const stop = this.#stops.remember();
    const recall = (): void => {
      forks?.();
      this.tracepoints.goneBack(frames);
      this.#jumped();
      if (!this.#pump.isRunning) stop();
    };
    return { bytes: frames?.bytes.length ?? 0, recall };
  }

  #halted(stop: TargetStop): void {
    this.#runner = undefined;
    this.#stops.told(stop);
    for (const listener of [...this.#listeners]) listener(stop);
  }

  #stopOf(end: RunEnd, thread: ThreadNumber): TargetStop {
    return end.kind === 'reset-request'
      ? this.#guestReset()
      : this.#stops.ofEnd(end, thread, this.#runner);
  }

  #guestReset(): TargetStop {
    this.#powerCycle();
    return this.#stops.reset('the guest asked for a reset: halted before the first instruction\n');
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
