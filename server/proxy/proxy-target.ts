/**
 * An existing stub as a `Target`: it has the CPU, memory and breakpoints; the guest's threads, which a
 * stub of one CPU does not know, come from awareness of the kernel's image. A stub that goes is waited
 * for: the debugger stays attached, is told, and finds its breakpoints in the new one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  GuestProcess,
  GuestThread,
  KernelAwareness,
  Listing,
} from '../awareness/awareness.ts';
import { findKernelAwareness } from '../awareness/find-kernel.ts';
import { runWalkLater, type Walk } from '../awareness/walk.ts';
import { ERRNO, RemoteError } from '../rsp/errno.ts';
import type { ThreadsView } from '../monitor/threads.ts';
import { readElf } from '../symbols/elf-file.ts';
import { SymbolTable } from '../symbols/symbol-table.ts';
import { hostImage } from '../target/host-image.ts';
import { TRIPLES } from '../target/image-architecture.ts';
import { bootPath, MachineFiles } from '../target/machine-files.ts';
import {
  describeThread,
  MACHINE_PROCESS,
  numberOfThread,
  tidOfNumber,
} from '../target/machine-threads.ts';
import { guestTables } from '../target/os-data-tables.ts';
import { placeInWindow, windowPointers } from '../target/stack-windows.ts';
import type {
  Breakpoint,
  BreakpointOwner,
  HostImage,
  OsDataTable,
  StopCause,
  Target,
  TargetIdentity,
  TargetMemory,
  TargetState,
  TargetStop,
  TargetThread,
  ThreadNumber,
  ThreadResume,
} from '../target/target.ts';
import { ForkRecorder } from './fork-recorder.ts';
import { ProxyMemory } from './proxy-memory.ts';
import { ProxyMonitor } from './proxy-monitor.ts';
import { ProxyRegisters } from './proxy-registers.ts';
import { Upstream } from './upstream.ts';
import { readDescription, type UpstreamDescription } from './upstream-registers.ts';

const LEAVE_MS = 500;
const CPU_THREAD: ThreadNumber = 1;
const SIGNAL = { SIGINT: 2, SIGTRAP: 5 } as const;

export interface ProxyOptions {
  readonly host: string;
  readonly port: number;
  /** The kernel that runs behind the stub, for symbols and awareness. */
  readonly image?: { readonly name: string; readonly content: Uint8Array };
  /** Stops the stub at every fork of the guest for its true registers; see `ForkRecorder`. */
  readonly recordsForks?: boolean;
}

interface Inserted {
  readonly owner: BreakpointOwner;
  readonly breakpoint: Breakpoint;
}

/** What was read of the guest since it last moved. */
interface GuestNow {
  readonly current: { readonly tid: number; readonly pid: number } | undefined;
  readonly threads: Listing<GuestThread>;
}

const NO_THREADS: Listing<GuestThread> = { items: [], complaints: [] };
const NO_PROCESSES: Listing<GuestProcess> = { items: [], complaints: [] };
/** What has an answer and does not move the machine: general queries and settings, files. */
const PASSED_ON = /^([qQj]|vFile:)/;
const GONE = 'the stub behind the proxy has gone: waiting until it comes back\n';
const NEW_MACHINE = 'the stub behind the proxy has gone and come back: the machine is new\n';

export class ProxyTarget implements Target {
  readonly registers: ProxyRegisters;
  readonly memory: TargetMemory;
  readonly files?: MachineFiles;
  readonly monitor: ProxyMonitor;
  readonly breakpoints = {
    kinds: [0, 1, 2, 3, 4] as const,
    insert: async (owner: BreakpointOwner, breakpoint: Breakpoint) => {
      if (placeInWindow(breakpoint.address) !== undefined) return false;
      if ((await this.upstream.ask(`Z${packetOf(breakpoint)}`)) !== 'OK') return false;
      if (!this.inserted.some((entry) => isSame(entry, owner, breakpoint))) {
        this.inserted.push({ owner, breakpoint });
      }
      return true;
    },
    remove: (owner: BreakpointOwner, breakpoint: Breakpoint) =>
      this.removeWhere((entry) => isSame(entry, owner, breakpoint)),
    removeAllOf: (owner: BreakpointOwner) => this.removeWhere((entry) => entry.owner === owner),
  };

  readonly hostImage?: HostImage;
  /** Absent: the image is not a kernel that we know. */
  readonly osData?: readonly OsDataTable[];

  private readonly upstream: Upstream;
  private readonly ram: ProxyMemory;
  private readonly kernel: KernelAwareness | undefined;
  private readonly symbols: SymbolTable;
  private readonly forks: ForkRecorder;
  private readonly listeners = new Set<(stop: TargetStop) => void>();
  private readonly outputListeners = new Set<(text: string) => void>();
  private readonly ready: Promise<void>;
  private upstreamDescription: UpstreamDescription = { texts: new Map(), registers: [] };
  private inserted: Inserted[] = [];
  private guest: Promise<GuestNow> | undefined;
  private isRunning = false;
  /** A new connection is being prepared: stops are its own doing. */
  private isPreparing = true;
  /** A stop is being looked at: what a stub reports besides is nobody's. */
  private isStopping = false;
  private lossMessage = '';
  private stop: TargetStop = stopped(CPU_THREAD, SIGNAL.SIGTRAP, { kind: 'interrupt' });

  constructor({ host, port, image, recordsForks }: ProxyOptions) {
    let becomeReady: () => void = () => undefined;
    this.ready = new Promise((resolve) => (becomeReady = resolve));
    this.upstream = new Upstream(
      { host, port },
      {
        onConnect: () =>
          void this.connected().then((isWhole) => {
            if (isWhole) becomeReady();
          }),
        onLoss: () => this.lost(),
        onStop: (reply) => void this.upstreamStopped(reply),
        onOutput: (hex) => this.say(Buffer.from(hex, 'hex').toString('latin1')),
      },
    );
    this.ram = new ProxyMemory(this.upstream);
    this.registers = new ProxyRegisters(this.upstream, {
      registers: () => this.upstreamDescription.registers,
      place: (thread) => this.place(thread),
      onWrite: () => (this.guest = undefined),
    });
    this.memory = this.guestMemory();
    this.kernel = image && findKernelAwareness(image.content);
    this.symbols = SymbolTable.fromElf(image && readElf(image.content));
    const { upstream, registers } = this;
    const parts = { upstream, registers, walk: <Result>(walk: Walk<Result>) => this.walk(walk) };
    this.forks = new ForkRecorder(this.kernel, recordsForks === true, parts);
    const { symbols, forks, kernel } = this;
    const lists = {
      symbols,
      threads: () => this.threadsView(),
      processes: () => this.guestProcesses(),
    };
    const isRunning = (): boolean => this.isRunning;
    const halt = (): Promise<void> => this.halt();
    this.monitor = new ProxyMonitor({ upstream, isRunning, halt, forks, ...lists });
    if (kernel !== undefined) {
      this.osData = guestTables({ kernel, forks: () => forks.forks(), ...lists });
    }
    if (image === undefined) return;
    this.files = offeredFiles(image, this.kernel);
    const onHost = hostImage(image.name, readElf(image.content));
    if (onHost !== undefined) this.hostImage = onHost;
  }

  get identity(): TargetIdentity {
    const { pointerBytes } = this.registers;
    const triple = TRIPLES[pointerBytes === 4 ? 'i386' : 'x86-64'];
    return { triple, pointerBytes, hostName: 'exoscope proxy' };
  }

  /** Resolves when the stub has answered for the first time. */
  whenReady(): Promise<void> {
    return this.ready;
  }

  description(annex: string): string | undefined {
    return this.upstreamDescription.texts.get(annex) || undefined;
  }

  async threads(): Promise<readonly TargetThread[]> {
    const { threads } = await this.guestNow();
    const current = await this.currentThread();
    const described = threads.items.map((thread) => describeThread(thread, current));
    if (described.some(({ isOnCpu }) => isOnCpu)) return described;
    const cpu = { name: 'CPU', description: 'running', isOnCpu: true, core: 0 };
    return [{ id: current, process: MACHINE_PROCESS, ...cpu }, ...described];
  }

  async currentThread(): Promise<ThreadNumber> {
    return numberOnCpu(await this.guestNow());
  }

  state(): TargetState {
    return this.isRunning ? { kind: 'running' } : { kind: 'halted', stop: this.stop };
  }

  /** A stub of one CPU: whichever thread is on it goes on; the kernel chooses all others. */
  resume([first]: readonly ThreadResume[]): void {
    const isStep = first !== undefined && first.action.kind !== 'continue';
    this.isRunning = true;
    this.guest = undefined;
    this.forks.resume(isStep ? 'step' : 'continue');
  }

  interrupt(): void {
    if (!this.isRunning) return;
    if (this.upstream.isConnected) this.forks.breakIn();
    // Nobody else will ever answer a debugger that wants to leave.
    else this.halted(stopped(CPU_THREAD, SIGNAL.SIGINT, { kind: 'interrupt' }));
  }

  /**
   * What resumes, restarts or ends the machine is not passed on: its answer would be a stop, or none,
   * and QEMU dies of some (`bs` outside of a replay).
   */
  async passOn(packet: Uint8Array): Promise<Uint8Array> {
    const text = Buffer.from(packet).toString('latin1');
    return PASSED_ON.test(text) ? this.upstream.request(text) : new Uint8Array(0);
  }

  onOutput(listener: (text: string) => void): () => void {
    this.outputListeners.add(listener);
    return () => this.outputListeners.delete(listener);
  }

  onStop(listener: (stop: TargetStop) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * Waits until the stub was told all that it is to hear, at most for `LEAVE_MS`. A machine that is
   * halted goes on, without breakpoints, if `goesOn`.
   */
  async leave(goesOn: boolean): Promise<void> {
    if (!this.upstream.isConnected) return;
    const wasRunning = this.isRunning;
    if (this.forks.isRecording) await this.forgetForks();
    const isDetaching = !this.isRunning && (goesOn || wasRunning);
    const told = isDetaching ? this.upstream.ask('D') : this.upstream.allSent();
    await Promise.race([told.catch(() => undefined), sleep(LEAVE_MS, undefined, { ref: false })]);
  }

  dispose(): void {
    this.upstream.dispose();
    this.listeners.clear();
  }

  /** False: it was lost again on the way; the next connection begins anew. */
  private async connected(): Promise<boolean> {
    this.isPreparing = true;
    try {
      await this.upstream.ask('qSupported:xmlRegisters=i386');
      await this.upstream.ask('?');
      this.upstreamDescription = await readDescription(this.upstream);
      await this.ram.begin();
      for (const { breakpoint } of this.inserted) {
        await this.upstream.ask(`Z${packetOf(breakpoint)}`);
      }
      await this.forks.connected();
    } catch (error) {
      if (error instanceof RemoteError) return false;
      throw error;
    }
    this.isPreparing = false;
    this.guest = undefined;
    if (this.isRunning && this.lossMessage !== '') {
      this.halted(stopped(await this.stoppedThread(), SIGNAL.SIGTRAP, { kind: 'reset' }));
    }
    return true;
  }

  private lost(): void {
    this.guest = undefined;
    if (this.upstreamDescription.texts.size > 0) {
      if (this.lossMessage === '' && this.isRunning) this.say(GONE);
      this.lossMessage = NEW_MACHINE;
    }
  }

  private async upstreamStopped(reply: string): Promise<void> {
    if (!this.isRunning || this.isPreparing || this.isStopping) return;
    const number = /^[TSX]([0-9a-f]{2})/i.exec(reply)?.[1] ?? '';
    const signal = Number.parseInt(number, 16) || SIGNAL.SIGTRAP;
    this.isStopping = true;
    try {
      const cause = await this.forks.pass(await this.causeOf(reply, signal));
      if (cause === 'ours') return;
      const told = cause.kind === 'interrupt' ? SIGNAL.SIGINT : signal;
      this.halted(stopped(await this.stoppedThread(), told, cause));
    } catch (error) {
      // Lost meanwhile: the new connection tells of a stop.
      if (!(error instanceof RemoteError)) throw error;
    } finally {
      this.isStopping = false;
    }
  }

  private async causeOf(reply: string, signal: number): Promise<StopCause> {
    const watch = /;([ra]?)watch:([0-9a-fA-F]+);/.exec(`;${reply.slice(3)}`);
    if (watch !== null) {
      const kinds = { r: 'read', a: 'access', '': 'write' } as const;
      const address = BigInt.asUintN(64, BigInt(`0x${watch[2]!}`));
      return { kind: 'watchpoint', address, watch: kinds[watch[1] as keyof typeof kinds] };
    }
    if (signal === SIGNAL.SIGINT) return { kind: 'interrupt' };
    const rip = await this.registers.ofCpu('rip');
    const found = this.inserted.find(({ breakpoint: { kind, address } }) => {
      return kind < 2 && address === rip;
    });
    if (found === undefined) return { kind: 'step' };
    const { address, kind } = found.breakpoint;
    return { kind: 'breakpoint', address, isHardware: kind === 1 };
  }

  private halted(stop: TargetStop & { readonly kind: 'stopped' }): void {
    this.isRunning = false;
    this.stop = this.lossMessage === '' ? stop : { ...stop, message: this.lossMessage };
    this.lossMessage = '';
    for (const listener of [...this.listeners]) listener(this.stop);
  }

  /** Nobody would let the machine go on behind our breakpoints. */
  private async forgetForks(): Promise<void> {
    const forget = async (): Promise<void> => {
      if (this.isRunning) await this.halt();
      await this.forks.record(false);
    };
    const limit = sleep(LEAVE_MS, undefined, { ref: false });
    await Promise.race([forget().catch(() => undefined), limit]);
  }

  private say(text: string): void {
    for (const listener of [...this.outputListeners]) listener(text);
  }

  /** The thread of a stop that nobody has been told of yet. */
  private async stoppedThread(): Promise<ThreadNumber> {
    this.guest = this.readGuest();
    return numberOnCpu(await this.guest);
  }

  /** Of a machine that stands only for our own record of a fork nothing is read: it is about to go on. */
  private async guestNow(): Promise<GuestNow> {
    const isMoving = this.isRunning || this.upstream.isResumed;
    if (isMoving) return { current: undefined, threads: NO_THREADS };
    return (this.guest ??= this.readGuest());
  }

  private async readGuest(): Promise<GuestNow> {
    if (this.kernel === undefined) return { current: undefined, threads: NO_THREADS };
    const current = await this.walk(this.kernel.currentThread());
    return { current, threads: await this.walk(this.kernel.threads()) };
  }

  private walk<Result>(walk: Walk<Result>): Promise<Result> {
    return runWalkLater(walk, (request) => this.ram.read(request));
  }

  private async guestProcesses(): Promise<Listing<GuestProcess>> {
    return this.kernel === undefined ? NO_PROCESSES : this.walk(this.kernel.processes());
  }

  private async threadsView(): Promise<ThreadsView> {
    const { current, threads } = await this.guestNow();
    const rip = await this.registers.ofCpu('rip');
    const rsp = await this.registers.ofCpu('rsp');
    return {
      listing: threads,
      currentTid: current?.tid,
      isKernelKnown: this.kernel !== undefined,
      symbols: this.symbols,
      register: (name) => (name === 'rip' ? rip : rsp),
    };
  }

  private async place(thread: ThreadNumber) {
    if (thread === (await this.currentThread())) return 'on cpu' as const;
    return (await this.savedThread(thread)).registers;
  }

  private async savedThread(number: ThreadNumber): Promise<GuestThread> {
    const { threads } = await this.guestNow();
    const found = threads.items.find(({ tid }) => tid === tidOfNumber(number));
    if (found === undefined) throw new RemoteError(ERRNO.ESRCH, `no thread ${number}`);
    return found;
  }

  private guestMemory(): TargetMemory {
    const { ram } = this;
    return {
      get physical() {
        return ram.physical;
      },
      read: async (thread: ThreadNumber, address: bigint, lengthBytes: number) => {
        const place = placeInWindow(address);
        if (place === undefined) return this.readMemory(thread, address, lengthBytes);
        const bytes = await this.readMemory(place.thread, place.address, lengthBytes);
        const stack = await this.ownStack(place.thread);
        return stack === undefined ? bytes : windowPointers(bytes, place, stack);
      },
      write: (_thread: ThreadNumber, address: bigint, bytes: Uint8Array) => {
        this.guest = undefined;
        return this.ram.write(address, bytes);
      },
    };
  }

  readonly unambiguousPointers = async (
    thread: ThreadNumber,
    registers: Uint8Array,
  ): Promise<Uint8Array> => {
    const stack = await this.ownStack(thread);
    return stack === undefined
      ? registers
      : windowPointers(registers, { thread, address: 0n }, stack);
  };

  /** Undefined: what the thread sees there is what the thread on the CPU sees. */
  private async ownStack(number: ThreadNumber): Promise<GuestThread['kernelStack'] | undefined> {
    const current = await this.currentThread();
    if (number === current) return undefined;
    const { items } = (await this.guestNow()).threads;
    const running = items.find(({ tid }) => tid === tidOfNumber(current));
    const thread = items.find(({ tid }) => tid === tidOfNumber(number));
    if (thread === undefined || running === undefined) return undefined;
    const isOwn =
      thread.kernelStack.base === running.kernelStack.base && thread.cr3 !== running.cr3;
    return isOwn ? thread.kernelStack : undefined;
  }

  private async readMemory(thread: ThreadNumber, address: bigint, lengthBytes: number) {
    const isOnCpu = thread === (await this.currentThread());
    if (isOnCpu) return this.ram.read({ address, lengthBytes });
    const { cr3 } = await this.savedThread(thread);
    const bytes = await this.ram.read({ address, lengthBytes, cr3 });
    return bytes.length > 0 ? bytes : this.ram.read({ address, lengthBytes });
  }

  private async removeWhere(isMeant: (entry: Inserted) => boolean): Promise<void> {
    const removed = this.inserted.filter(isMeant);
    this.inserted = this.inserted.filter((entry) => !isMeant(entry));
    // QEMU takes whatever reaches a running machine for a break-in and loses it.
    if (removed.length > 0 && this.isRunning) await this.halt();
    for (const { breakpoint } of removed) {
      const key = packetOf(breakpoint);
      const isShared = this.inserted.some((entry) => packetOf(entry.breakpoint) === key);
      if (!isShared) await this.upstream.ask(`z${key}`).catch(() => undefined);
    }
  }

  private halt(): Promise<void> {
    return new Promise((resolve) => {
      const remove = this.onStop(() => {
        remove();
        resolve();
      });
      this.interrupt();
    });
  }
}

function offeredFiles(
  image: NonNullable<ProxyOptions['image']>,
  kernel: KernelAwareness | undefined,
): MachineFiles {
  const executable = { path: bootPath(image.name), content: image.content };
  const path = readElf(image.content) === undefined ? undefined : executable.path;
  return new MachineFiles(path, [...(kernel?.programs ?? []), executable]);
}

function numberOnCpu({ current }: GuestNow): ThreadNumber {
  return current === undefined ? CPU_THREAD : numberOfThread(current.tid);
}

function packetOf({ kind, address, lengthBytes }: Breakpoint): string {
  return `${kind},${address.toString(16)},${lengthBytes.toString(16)}`;
}

function isSame(entry: Inserted, owner: BreakpointOwner, breakpoint: Breakpoint): boolean {
  return entry.owner === owner && packetOf(entry.breakpoint) === packetOf(breakpoint);
}

function stopped(
  thread: ThreadNumber,
  signal: number,
  cause: StopCause,
): TargetStop & { readonly kind: 'stopped' } {
  return { kind: 'stopped', thread, signal, cause };
}
