/**
 * A toy that implements `Target` whole and deterministically, for tests of the packet layer.
 *
 *     0x1000–0x1fff   code: every byte is an instruction that does nothing, except
 *     0x1080          writes to 0x2400
 *     0x1f00          ends the guest with status 7
 *     0x2000–0x2fff   data: each byte is the low byte of its address; running here never ends
 *
 * Thread 1 runs on the CPU, thread 2 sleeps at 0x1234 and can be stepped all the same.
 */
import type {
  Breakpoint,
  BreakpointOwner,
  MonitorRequest,
  MonitorResult,
  RegisterValue,
  StopCause,
  Target,
  TargetState,
  TargetStop,
  TargetThread,
  ThreadNumber,
  ThreadResume,
} from '../server/target/target.ts';
import { ERRNO, RemoteError } from '../server/rsp/errno.ts';

const MEMORY_START = 0x1000n;
const MEMORY_BYTES = 0x2000;
const G_BYTES = 560;
const WRITER = 0x1080n;
const WRITTEN = 0x2400n;
const EXIT = 0x1f00n;
const ENDLESS = 0x2000n;

/** Offset and width in `g` of the registers that the toy has: 24 of eight bytes or four. */
function placeOf(number: number): { readonly at: number; readonly width: number } | undefined {
  if (number <= 16) return { at: number * 8, width: 8 };
  if (number <= 23) return { at: 17 * 8 + (number - 17) * 4, width: 4 };
  return undefined;
}

const CR3 = 63;

export class FakeTarget implements Target {
  readonly identity = {
    triple: 'x86_64-unknown-none-elf',
    pointerBytes: 8,
    hostName: 'toy',
  };
  readonly files = {
    open: (path: string) =>
      path === '/boot/toy.elf'
        ? {
            sizeBytes: TOY_FILE.length,
            modifiedAt: 1_000_000_000,
            read: (offset: number, length: number) => TOY_FILE.subarray(offset, offset + length),
          }
        : undefined,
    executableOf: () => '/boot/toy.elf',
  };
  readonly monitor = { run: (request: MonitorRequest) => this.runMonitor(request) };
  readonly osData = [
    {
      name: 'forks',
      description: 'forks <since> boot',
      rows: () => [new Map([['parent', '1']]), new Map([['parent', '2 & 3']])],
    },
  ];
  readonly memoryRegion = (_thread: ThreadNumber, address: bigint) => {
    if (address < MEMORY_START) return { start: 0n, lengthBytes: MEMORY_START };
    if (address < 0x3000n) {
      const permissions = { read: true, write: true, execute: true };
      return { start: MEMORY_START, lengthBytes: BigInt(MEMORY_BYTES), permissions };
    }
    return { start: 0x3000n, lengthBytes: (1n << 64n) - 0x3000n };
  };
  readonly restart = (): void => this.reset();

  readonly memory = {
    read: (thread: ThreadNumber, address: bigint, lengthBytes: number) => {
      this.check(thread);
      const offset = this.offsetOf(address);
      return offset === undefined
        ? new Uint8Array(0)
        : this.bytes.slice(offset, Math.min(offset + lengthBytes, MEMORY_BYTES));
    },
    write: (thread: ThreadNumber, address: bigint, bytes: Uint8Array) => {
      this.check(thread);
      const offset = this.offsetOf(address);
      if (offset === undefined) return 0;
      const written = bytes.subarray(0, MEMORY_BYTES - offset);
      this.bytes.set(written, offset);
      return written.length;
    },
    /** Physical addresses begin with 0 where linear ones begin with MEMORY_START. */
    physical: {
      read: (address: bigint, lengthBytes: number) =>
        this.memory.read(1, address + MEMORY_START, lengthBytes),
      write: (address: bigint, bytes: Uint8Array): number =>
        this.memory.write(1, address + MEMORY_START, bytes),
    },
  };

  readonly registers = {
    programCounter: 16,
    readAll: (thread: ThreadNumber) => {
      const bytes = this.check(thread).slice();
      // The toy has no x87 state: gdb is told so.
      const known = Array.from({ length: G_BYTES }, (_, index) => index < 164 || index >= 172);
      return { bytes, known };
    },
    writeAll: (thread: ThreadNumber, bytes: Uint8Array) => this.check(thread).set(bytes),
    read: (thread: ThreadNumber, number: number) => {
      const block = this.check(thread);
      if (number === CR3) return Uint8Array.of(0, 0x30, 0, 0, 0, 0, 0, 0);
      if (number === 24) return 'unavailable' as const;
      const place = placeOf(number);
      return place && block.slice(place.at, place.at + place.width);
    },
    write: (thread: ThreadNumber, number: number, bytes: Uint8Array) => {
      const place = placeOf(number);
      if (place?.width !== bytes.length) return false;
      this.check(thread).set(bytes, place.at);
      return true;
    },
    expedited: (thread: ThreadNumber): RegisterValue[] => {
      const block = this.check(thread);
      return [16, 7, 6].map((number) => ({
        number,
        bytes: block.slice(number * 8, number * 8 + 8),
      }));
    },
  };

  readonly breakpoints = {
    kinds: [0, 1, 2, 3, 4] as const,
    insert: (owner: BreakpointOwner, breakpoint: Breakpoint) => {
      if (breakpoint.kind >= 2 && breakpoint.lengthBytes > 8) return false;
      this.inserted.set(keyOf(breakpoint), { owner, breakpoint });
      return true;
    },
    remove: (_owner: BreakpointOwner, breakpoint: Breakpoint) => {
      this.inserted.delete(keyOf(breakpoint));
    },
    removeAllOf: (owner: BreakpointOwner) => {
      for (const [key, entry] of this.inserted) {
        if (entry.owner === owner) this.inserted.delete(key);
      }
    },
  };

  readonly inserted = new Map<string, { owner: BreakpointOwner; breakpoint: Breakpoint }>();
  private readonly bytes = Uint8Array.from({ length: MEMORY_BYTES }, (_, index) => index & 0xff);
  private readonly blocks = new Map<ThreadNumber, Uint8Array>();
  private readonly listeners = new Set<(stop: TargetStop) => void>();
  private present: TargetState = { kind: 'running' };
  private pending: NodeJS.Immediate | undefined;

  constructor() {
    this.reset();
  }

  description(annex: string): string | undefined {
    return annex === 'target.xml' ? '<target version="1.0"><!-- } # $ * --></target>' : undefined;
  }

  threads(): TargetThread[] {
    return [
      { id: 1, process: 1, name: 'init', description: 'running', isOnCpu: true, core: 0 },
      { id: 2, process: 1, name: 'a<b', description: 'sleeping', isOnCpu: false },
    ];
  }

  currentThread(): ThreadNumber {
    return 1;
  }

  state(): TargetState {
    return this.present;
  }

  resume(threads: readonly ThreadResume[]): void {
    this.present = { kind: 'running' };
    const [first] = threads;
    if (first === undefined) throw new Error('nothing to resume');
    const thread = first.threads === 'all' ? 1 : first.threads;
    this.pending = setImmediate(() => this.run(thread, first));
  }

  interrupt(): void {
    if (this.present.kind === 'halted') return;
    clearImmediate(this.pending);
    this.halt(1, 2, { kind: 'interrupt' });
  }

  onStop(listener: (stop: TargetStop) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** For tests: as if the guest ran by itself before anybody attached. */
  startEndlessRun(): void {
    this.counter(1, ENDLESS);
    this.present = { kind: 'running' };
  }

  private reset(): void {
    for (const id of [1, 2]) {
      this.blocks.set(
        id,
        Uint8Array.from({ length: G_BYTES }, (_, index) => (index % 8 === 0 ? id : 0)),
      );
    }
    this.counter(1, MEMORY_START);
    this.counter(2, 0x1234n);
    const cause: StopCause = { kind: 'reset' };
    this.present = { kind: 'halted', stop: { kind: 'stopped', thread: 1, signal: 5, cause } };
  }

  private run(thread: ThreadNumber, { action }: ThreadResume): void {
    let counter = this.counter(thread);
    for (;;) {
      if (counter >= ENDLESS && action.kind === 'continue') return;
      counter = this.execute(thread, counter);
      if (this.present.kind === 'halted') return;
      const isDone =
        action.kind === 'step' ||
        (action.kind === 'range-step' && (counter < action.start || counter >= action.end));
      if (this.stopAtBreakpoint(thread, counter)) return;
      if (isDone) {
        this.halt(thread, 5, { kind: 'step' });
        return;
      }
    }
  }

  private execute(thread: ThreadNumber, counter: bigint): bigint {
    const next = BigInt.asUintN(64, counter + 1n);
    this.counter(thread, next);
    if (counter === EXIT) this.finish({ kind: 'exited', status: 7, process: 1 });
    if (counter === WRITER) {
      this.bytes[this.offsetOf(WRITTEN)!] = 0xaa;
      const watch = [...this.inserted.values()].find(({ breakpoint: { kind, address } }) => {
        return (kind === 2 || kind === 4) && address === WRITTEN;
      });
      if (watch !== undefined) {
        const kind = watch.breakpoint.kind === 2 ? 'write' : 'access';
        this.halt(thread, 5, { kind: 'watchpoint', address: WRITTEN, watch: kind });
      }
    }
    return next;
  }

  private stopAtBreakpoint(thread: ThreadNumber, address: bigint): boolean {
    const isHardware = this.inserted.has(`1 ${address.toString(16)}`);
    if (!isHardware && !this.inserted.has(`0 ${address.toString(16)}`)) return false;
    this.halt(thread, 5, { kind: 'breakpoint', address, isHardware });
    return true;
  }

  private halt(thread: ThreadNumber, signal: number, cause: StopCause): void {
    this.finish({ kind: 'stopped', thread, signal, cause });
  }

  private finish(stop: TargetStop): void {
    this.present = { kind: 'halted', stop };
    for (const listener of [...this.listeners]) listener(stop);
  }

  private counter(thread: ThreadNumber, value?: bigint): bigint {
    const block = Buffer.from(this.blocks.get(thread)!.buffer);
    if (value !== undefined) block.writeBigUInt64LE(value, 16 * 8);
    return block.readBigUInt64LE(16 * 8);
  }

  private offsetOf(address: bigint): number | undefined {
    const offset = address - MEMORY_START;
    return offset >= 0n && offset < BigInt(MEMORY_BYTES) ? Number(offset) : undefined;
  }

  private check(thread: ThreadNumber): Uint8Array {
    const block = this.blocks.get(thread);
    if (block === undefined) throw new RemoteError(ERRNO.ESRCH, 'no such thread');
    return block;
  }

  private runMonitor({ commandLine, access, thread, output }: MonitorRequest): MonitorResult {
    if (commandLine === 'fail') return { failure: 'it failed' };
    if (commandLine === 'break') throw new Error('a bug');
    output(`${commandLine} as ${access} on ${thread}\n`);
    return {};
  }
}

function keyOf({ kind, address }: Breakpoint): string {
  return `${kind} ${address.toString(16)}`;
}

const TOY_FILE = Uint8Array.from({ length: 256 }, (_, index) => index);
