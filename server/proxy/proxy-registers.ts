/**
 * The registers of a stub's CPU as it has them, and those that the guest's kernel saved for threads
 * that are not on it; of these the rest is unavailable.
 */
import type { RegisterValues } from '../awareness/awareness.ts';
import { bytesToHex } from '../rsp/hex.ts';
import type { RegisterValue, TargetRegisters, ThreadNumber } from '../target/target.ts';
import { fromLittleEndian, littleEndian } from '../target/register-table.ts';
import type { Upstream } from './upstream.ts';
import type { UpstreamRegister } from './upstream-registers.ts';

/** The kernel's names for what a description calls otherwise. */
const SAVED_NAMES: Readonly<Record<string, string>> = {
  eflags: 'rflags',
  // Those of an i386.
  ...Object.fromEntries(
    ['ax', 'bx', 'cx', 'dx', 'si', 'di', 'bp', 'sp', 'ip'].map((name) => [`e${name}`, `r${name}`]),
  ),
};
const EXPEDITED = ['rip', 'rsp', 'rbp'];

export interface RegisterSources {
  readonly registers: () => readonly UpstreamRegister[];
  /** What the kernel saved for the thread; `on cpu`: ask the stub. Throws `RemoteError` ESRCH. */
  readonly place: (thread: ThreadNumber) => Promise<RegisterValues | 'on cpu'>;
  /** The guest may be another after a write. */
  readonly onWrite: () => void;
}

export class ProxyRegisters implements TargetRegisters {
  private readonly upstream: Upstream;
  private readonly sources: RegisterSources;

  constructor(upstream: Upstream, sources: RegisterSources) {
    this.upstream = upstream;
    this.sources = sources;
  }

  /** An i386's are of four bytes. */
  get pointerBytes(): number {
    return this.named('rip')?.lengthBytes ?? 8;
  }

  get programCounter(): number {
    return this.named('rip')?.number ?? 16;
  }

  get stackPointer(): number | undefined {
    return this.named('rsp')?.number;
  }

  get framePointer(): number | undefined {
    return this.named('rbp')?.number;
  }

  async readAll(thread: ThreadNumber) {
    const place = await this.sources.place(thread);
    const bytes = Buffer.from(await this.upstream.ask('g'), 'hex');
    if (place === 'on cpu') return { bytes };
    const known = new Array<boolean>(bytes.length).fill(false);
    for (const register of this.sources.registers()) {
      const value = saved(place, register);
      if (value === undefined || register.offset + value.length > bytes.length) continue;
      bytes.set(value, register.offset);
      known.fill(true, register.offset, register.offset + value.length);
    }
    return { bytes, known };
  }

  async writeAll(thread: ThreadNumber, bytes: Uint8Array): Promise<void> {
    if ((await this.sources.place(thread)) === 'on cpu') {
      await this.upstream.ask(`G${bytesToHex(bytes)}`);
      this.sources.onWrite();
    }
  }

  async read(thread: ThreadNumber, number: number) {
    const register = this.sources.registers().find((one) => one.number === number);
    if (register === undefined) return undefined;
    const place = await this.sources.place(thread);
    if (place !== 'on cpu') return saved(place, register) ?? ('unavailable' as const);
    const text = await this.upstream.ask(`p${number.toString(16)}`);
    return text === '' || text.startsWith('E') ? undefined : Buffer.from(text, 'hex');
  }

  async write(thread: ThreadNumber, number: number, bytes: Uint8Array): Promise<boolean> {
    if ((await this.sources.place(thread)) !== 'on cpu') return false;
    const answer = await this.upstream.ask(`P${number.toString(16)}=${bytesToHex(bytes)}`);
    this.sources.onWrite();
    return answer === 'OK';
  }

  async expedited(thread: ThreadNumber): Promise<RegisterValue[]> {
    const { bytes, known } = await this.readAll(thread);
    return EXPEDITED.flatMap((name) => {
      const register = this.named(name);
      if (register === undefined || known?.[register.offset] === false) return [];
      const { number, offset, lengthBytes } = register;
      return [{ number, bytes: bytes.subarray(offset, offset + lengthBytes) }];
    });
  }

  /** A register of the CPU, as a number. */
  async ofCpu(name: string): Promise<bigint | undefined> {
    return (await this.allOfCpu()).get(name);
  }

  /** All of the CPU's that are numbers of up to 64 bits, by the kernel's names for them. */
  async allOfCpu(): Promise<RegisterValues> {
    const block = Buffer.from(await this.upstream.ask('g'), 'hex');
    const isNumber = ({ offset, lengthBytes }: UpstreamRegister): boolean =>
      lengthBytes <= 8 && offset + lengthBytes <= block.length;
    return new Map(
      this.sources
        .registers()
        .filter(isNumber)
        .map(({ name, offset, lengthBytes }) => [
          savedName({ name }),
          fromLittleEndian(block.subarray(offset, offset + lengthBytes)),
        ]),
    );
  }

  private named(name: string): UpstreamRegister | undefined {
    return this.sources.registers().find((register) => savedName(register) === name);
  }
}

function savedName({ name }: Pick<UpstreamRegister, 'name'>): string {
  return SAVED_NAMES[name] ?? name;
}

function saved(values: RegisterValues, register: UpstreamRegister): Uint8Array | undefined {
  const value = values.get(savedName(register));
  const bits = register.lengthBytes * 8;
  return value === undefined || bits > 64 ? undefined : littleEndian(value, bits);
}
