/**
 * The emulator behind gdb and lldb: everything that `exoscope/rsp` needs to know of it. Breakpoints are
 * a set that is looked at between two steps; a resume runs in short turns of the event loop, so that a
 * break-in is heard.
 */
import {
  ERRNO,
  RemoteError,
  type Breakpoint,
  type BreakpointOwner,
  type RegisterValue,
  type ResumeAction,
  type StopCause,
  type Target,
  type TargetState,
  type TargetStop,
  type TargetThread,
  type ThreadResume,
} from '../../../server/index.ts';
import { coreDescription, coreRegisters } from '../x86-core.ts';
import { MEMORY_BYTES, MEMORY_START, RAX, type StepEvent, type TinyCpu } from './tiny-cpu.ts';

const CPU = 1;
const STEPS_PER_TURN = 10_000;
const SIGNAL = { SIGINT: 2, SIGTRAP: 5, SIGSEGV: 11 } as const;

const REGISTERS = coreRegisters(64);
const RIP = 16;
const EFLAGS = 17;
const ZF = 0x40n;
/** gdb's registers 0–7 as the instructions number them: rax rbx rcx rdx rsi rdi rbp rsp. */
const ENCODED = [0, 3, 1, 2, 6, 7, 5, 4];

interface Inserted {
  readonly owner: BreakpointOwner;
  readonly breakpoint: Breakpoint;
}

export class TinyTarget implements Target {
  private readonly cpu: TinyCpu;
  private readonly listeners = new Set<(stop: TargetStop) => void>();
  private inserted: readonly Inserted[] = [];
  private turn: NodeJS.Immediate | undefined;
  private stop: TargetStop = stopped(SIGNAL.SIGTRAP, { kind: 'reset' });

  readonly registers = {
    programCounter: RIP,
    readAll: () => {
      const values = REGISTERS.map((_, number) => this.register(number));
      const known = REGISTERS.flatMap(({ bits }, number) =>
        Array.from({ length: bits / 8 }, () => values[number] !== undefined),
      );
      const bytes = values.map((value, number) => bytesOf(value ?? 0n, REGISTERS[number]!.bits));
      return { bytes: Buffer.concat(bytes), known };
    },
    writeAll: (_thread: number, bytes: Uint8Array) =>
      REGISTERS.forEach(({ offset, bits }, number) => {
        this.setRegister(number, bytes.subarray(offset, offset + bits / 8));
      }),
    read: (_thread: number, number: number) => {
      const register = REGISTERS[number];
      const value = this.register(number);
      if (register === undefined) return undefined;
      return value === undefined ? 'unavailable' : bytesOf(value, register.bits);
    },
    write: (_thread: number, number: number, bytes: Uint8Array) => this.setRegister(number, bytes),
    expedited: (): RegisterValue[] => [{ number: RIP, bytes: bytesOf(this.cpu.rip, 64) }],
  };

  readonly memory = {
    read: (_thread: number, address: bigint, lengthBytes: number) => {
      const offset = offsetOf(address);
      return this.cpu.memory.slice(offset, Math.min(offset + lengthBytes, MEMORY_BYTES));
    },
    write: (_thread: number, address: bigint, bytes: Uint8Array) => {
      const offset = offsetOf(address);
      const written = bytes.subarray(0, MEMORY_BYTES - offset);
      this.cpu.memory.set(written, offset);
      return written.length;
    },
  };

  readonly breakpoints = {
    // Software and hardware breakpoints are the same here; watchpoints see writes only.
    kinds: [0, 1, 2] as const,
    insert: (owner: BreakpointOwner, breakpoint: Breakpoint) => {
      this.breakpoints.remove(owner, breakpoint);
      this.inserted = [...this.inserted, { owner, breakpoint }];
      return true;
    },
    remove: (owner: BreakpointOwner, { kind, address }: Breakpoint) => {
      this.inserted = this.inserted.filter(({ owner: other, breakpoint }) => {
        return other !== owner || breakpoint.kind !== kind || breakpoint.address !== address;
      });
    },
    removeAllOf: (owner: BreakpointOwner) => {
      this.inserted = this.inserted.filter((entry) => entry.owner !== owner);
    },
  };

  constructor(cpu: TinyCpu) {
    this.cpu = cpu;
  }

  description(annex: string): string | undefined {
    return annex === 'target.xml' ? coreDescription(64) : undefined;
  }

  threads(): TargetThread[] {
    return [{ id: CPU, process: 1, name: 'cpu', description: 'the only one', isOnCpu: true }];
  }

  currentThread(): number {
    return CPU;
  }

  state(): TargetState {
    return this.turn ? { kind: 'running' } : { kind: 'halted', stop: this.stop };
  }

  resume([first]: readonly ThreadResume[]): void {
    const action = first?.action ?? { kind: 'continue' };
    this.turn = setImmediate(() => this.run(action));
  }

  interrupt(): void {
    if (this.turn !== undefined) this.halt(stopped(SIGNAL.SIGINT, { kind: 'interrupt' }));
  }

  onStop(listener: (stop: TargetStop) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** gdb's `run` after `target extended-remote`. */
  readonly restart = (): void => {
    this.cpu.reset();
    this.stop = stopped(SIGNAL.SIGTRAP, { kind: 'reset' });
  };

  private run(action: ResumeAction): void {
    for (let steps = 0; steps < STEPS_PER_TURN; steps++) {
      const stop = this.stopAfter(this.cpu.step()) ?? this.stopBefore(action);
      if (stop === undefined) continue;
      this.halt(stop);
      return;
    }
    this.turn = setImmediate(() => this.run(action));
  }

  private stopAfter(event: StepEvent): TargetStop | undefined {
    if (event.kind === 'halted') {
      return { kind: 'exited', status: Number(this.cpu.registers[RAX]! & 0xffn), process: 1 };
    }
    if (event.kind === 'fault') {
      const cause = { kind: 'exception', description: event.reason } as const;
      return { ...stopped(SIGNAL.SIGSEGV, cause), message: `${event.reason}\n` };
    }
    const { written } = event;
    if (written === undefined) return undefined;
    const watch = this.inserted.find(({ breakpoint: { kind, address, lengthBytes } }) => {
      return kind === 2 && written < address + BigInt(lengthBytes) && address < written + 8n;
    });
    if (watch === undefined) return undefined;
    const { address } = watch.breakpoint;
    return stopped(SIGNAL.SIGTRAP, { kind: 'watchpoint', address, watch: 'write' });
  }

  private stopBefore(action: ResumeAction): TargetStop | undefined {
    const { rip } = this.cpu;
    const found = this.inserted.find(({ breakpoint: { kind, address } }) => {
      return kind < 2 && address === rip;
    });
    if (found !== undefined) {
      const isHardware = found.breakpoint.kind === 1;
      return stopped(SIGNAL.SIGTRAP, { kind: 'breakpoint', address: rip, isHardware });
    }
    const isInside = action.kind === 'range-step' && rip >= action.start && rip < action.end;
    if (action.kind === 'continue' || isInside) return undefined;
    return stopped(SIGNAL.SIGTRAP, { kind: 'step' });
  }

  private halt(stop: TargetStop): void {
    clearImmediate(this.turn);
    this.turn = undefined;
    this.stop = stop;
    for (const listener of [...this.listeners]) listener(stop);
  }

  /** Undefined: the emulator has no such register. */
  private register(number: number): bigint | undefined {
    if (number === RIP) return this.cpu.rip;
    if (number === EFLAGS) return this.cpu.isZero ? ZF : 0n;
    const encoded = ENCODED[number];
    return encoded === undefined ? undefined : this.cpu.registers[encoded];
  }

  private setRegister(number: number, bytes: Uint8Array): boolean {
    const value = valueOf(bytes);
    const encoded = ENCODED[number];
    if (number === RIP) this.cpu.rip = value;
    else if (number === EFLAGS) this.cpu.isZero = (value & ZF) !== 0n;
    else if (encoded === undefined) return false;
    else this.cpu.registers[encoded] = value;
    return true;
  }
}

function stopped(signal: number, cause: StopCause): TargetStop & { readonly kind: 'stopped' } {
  return { kind: 'stopped', thread: CPU, signal, cause };
}

function offsetOf(address: bigint): number {
  const offset = Number(address) - MEMORY_START;
  if (offset < 0 || offset >= MEMORY_BYTES) throw new RemoteError(ERRNO.EFAULT, 'no memory there');
  return offset;
}

function bytesOf(value: bigint, bits: number): Uint8Array {
  return Uint8Array.from({ length: bits / 8 }, (_, index) =>
    Number((value >> BigInt(8 * index)) & 0xffn),
  );
}

function valueOf(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
