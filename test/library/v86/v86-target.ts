/**
 * npm's `v86` behind gdb and lldb, by its public interface alone (v86.d.ts): `run`, `stop`, `read_memory`,
 * `write_memory` and `save_state`, in which the registers stand. That interface has no stepping, no
 * breakpoints and no way to write a register, so these are refused; a refused `Z0` keeps gdb from patching
 * the guest's memory with a trap that v86 would give to the guest.
 */
import type { V86 } from 'v86';
import type { Target, TargetState, TargetStop, ThreadResume } from '../../../server/index.ts';
import { ERRNO, RemoteError } from '../../../server/index.ts';
import { coreDescription, coreRegisters } from '../x86-core.ts';

const [CPU, SIGINT] = [1, 2];
const [EIP, EFLAGS, CS, ST0] = [8, 9, 10, 16];
/** v86 keeps segment registers as the CPU numbers them (ES CS SS DS FS GS); gdb wants cs ss ds es fs gs. */
const SEGMENTS = [1, 2, 3, 0, 4, 5];
const REGISTERS = coreRegisters(32);

const [CR0_PG, CR4_PAE, PRESENT, LARGE_PAGE, PAGE_BYTES] = [1 << 31, 1 << 5, 1, 1 << 7, 0x1000];

/** The part of a saved state that is the CPU. */
interface SavedCpu {
  readonly eip: number;
  /** Undefined: not computed yet since the last instruction, and the state lacks what that takes. */
  readonly eflags: number | undefined;
  readonly general: Int32Array;
  readonly segments: Uint16Array;
  readonly control: Int32Array;
}

export class V86Target implements Target {
  private readonly emulator: V86;
  private readonly listeners = new Set<(stop: TargetStop) => void>();
  private cpu: Promise<SavedCpu> | undefined;
  private isRunning: boolean;
  private stop: TargetStop = { kind: 'stopped', thread: CPU, signal: 5, cause: { kind: 'reset' } };

  readonly registers = {
    programCounter: EIP,
    readAll: async () => {
      const cpu = await this.savedCpu();
      const values = REGISTERS.map(({ bits }, number) => {
        const bytes = registerBytes(cpu, number);
        return { bytes: bytes ?? new Uint8Array(bits / 8), isKnown: bytes !== undefined };
      });
      const known = values.flatMap(({ bytes, isKnown }) => [...bytes].map(() => isKnown));
      return { bytes: Buffer.concat(values.map(({ bytes }) => bytes)), known };
    },
    writeAll: () => {
      throw new RemoteError(ERRNO.EPERM, 'v86 lets nobody write its registers');
    },
    read: async (_thread: number, number: number) => {
      if (REGISTERS[number] === undefined) return undefined;
      return registerBytes(await this.savedCpu(), number) ?? ('unavailable' as const);
    },
    write: () => false,
    expedited: async () => {
      const cpu = await this.savedCpu();
      return [EIP, 4, 5].map((number) => ({ number, bytes: registerBytes(cpu, number)! }));
    },
  };

  readonly memory = {
    read: async (_thread: number, address: bigint, lengthBytes: number) => {
      const pages = await this.pages(address, lengthBytes);
      return Buffer.concat(
        pages.map(({ physical, length }) => this.emulator.read_memory(physical, length)),
      );
    },
    write: async (_thread: number, address: bigint, bytes: Uint8Array) => {
      let written = 0;
      for (const { physical, length } of await this.pages(address, bytes.length)) {
        this.emulator.write_memory(bytes.subarray(written, written + length), physical);
        written += length;
      }
      return written;
    },
  };

  readonly breakpoints = {
    kinds: [0] as const,
    insert: () => false,
    remove: () => undefined,
    removeAllOf: () => undefined,
  };

  /** After `emulator-loaded`. */
  constructor(emulator: V86) {
    this.emulator = emulator;
    this.isRunning = emulator.is_running();
  }

  description(annex: string): string | undefined {
    return annex === 'target.xml' ? coreDescription(32) : undefined;
  }

  threads() {
    const description = `${this.emulator.get_instruction_counter()} instructions`;
    return [{ id: CPU, process: 1, name: 'v86', description, isOnCpu: true }];
  }

  currentThread(): number {
    return CPU;
  }

  state(): TargetState {
    return this.isRunning ? { kind: 'running' } : { kind: 'halted', stop: this.stop };
  }

  resume([first]: readonly ThreadResume[]): void {
    if (first?.action.kind !== 'continue') throw new RemoteError(ERRNO.EPERM, 'v86 cannot step');
    this.isRunning = true;
    this.cpu = undefined;
    void this.emulator.run();
  }

  interrupt(): void {
    if (!this.isRunning) return;
    void this.emulator.stop().then(() => {
      if (!this.isRunning) return;
      this.isRunning = false;
      const cause = { kind: 'interrupt' } as const;
      this.stop = { kind: 'stopped', thread: CPU, signal: SIGINT, cause };
      for (const listener of [...this.listeners]) listener(this.stop);
    });
  }

  onStop(listener: (stop: TargetStop) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private savedCpu(): Promise<SavedCpu> {
    return (this.cpu ??= this.emulator.save_state().then(readState));
  }

  /** The physical pages behind linear memory, up to the first that is not mapped. */
  private async pages(address: bigint, lengthBytes: number) {
    const { control } = await this.savedCpu();
    const pages: { physical: number; length: number }[] = [];
    const end = Math.min(Number(address) + lengthBytes, 2 ** 32);
    for (let at = Number(address); at < end; at = pageEnd(at)) {
      const physical = this.translate(at, control);
      if (physical === undefined) break;
      pages.push({ physical, length: Math.min(end, pageEnd(at)) - at });
    }
    return pages;
  }

  /** Intel SDM 3A §4.3, 32-bit paging; no PAE, whose pointers the public state does not explain. */
  private translate(address: number, control: Int32Array): number | undefined {
    if ((control[0]! & CR0_PG) === 0) return address;
    if ((control[4]! & CR4_PAE) !== 0) return undefined;
    const directory = this.entry(control[3]!, address >>> 22);
    const isLarge = (directory & LARGE_PAGE) !== 0;
    const leaf = isLarge ? directory : this.entry(directory, (address >>> 12) & 0x3ff);
    if ((directory & leaf & PRESENT) === 0) return undefined;
    const offsetMask = isLarge ? 0x3fffff : 0xfff;
    return ((leaf & ~offsetMask) >>> 0) + (address & offsetMask);
  }

  private entry(table: number, index: number): number {
    const bytes = this.emulator.read_memory(((table & ~0xfff) >>> 0) + 4 * index, 4);
    return Buffer.from(bytes).readUInt32LE();
  }
}

/** v86's state: magic, version, total length, length of a JSON text, the text, then its buffers. */
function readState(state: ArrayBuffer): SavedCpu {
  const textLength = new Int32Array(state, 0, 4)[3]!;
  const info = JSON.parse(Buffer.from(state, 16, textLength).toString()) as {
    state: { buffer_id: number }[];
    buffer_infos: { offset: number }[];
  };
  const buffers = (16 + textLength + 3) & ~3;
  const at = (item: number) => buffers + info.buffer_infos[info.state[item]!.buffer_id]!.offset;
  const [flags, lazyFlags, ip] = [26, 27, 37].map((index) => Number(info.state[index]));
  const codeBase = new Int32Array(state, at(2), 6)[1]!;
  return {
    eip: (ip! - codeBase) >>> 0,
    eflags: lazyFlags === 0 ? flags : undefined,
    general: new Int32Array(state, at(39), 8),
    segments: new Uint16Array(state, at(40), 6),
    control: new Int32Array(state, at(10), 8),
  };
}

const pageEnd = (address: number) => address - (address % PAGE_BYTES) + PAGE_BYTES;

/** Undefined: not to be had. */
function registerBytes(cpu: SavedCpu, number: number): Uint8Array | undefined {
  if (number >= ST0) return undefined;
  if (number >= CS) return bytesOf(cpu.segments[SEGMENTS[number - CS]!]!);
  if (number === EFLAGS) return cpu.eflags === undefined ? undefined : bytesOf(cpu.eflags);
  return bytesOf(number === EIP ? cpu.eip : cpu.general[number]!);
}

function bytesOf(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}
