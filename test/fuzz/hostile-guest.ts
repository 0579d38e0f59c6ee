/**
 * Guests that nobody would write: a machine in long mode whose code, tables and registers a seed has
 * spoilt. Nothing of it is meant to work; the host must neither throw, nor hang, nor grow.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Machine, type EngineKind, type MachineOptions } from '../../machine/index.ts';
import { Random } from '../machine/block-engine/random-program.ts';

const BENCH_IMAGE = readFileSync(join(import.meta.dirname, '../../kernel/images/bench.elf'));
const MEMORY_BYTES = 16 << 20;
export const CODE = 0x40_0000;
const TABLES = 0x60_0000;
const STACK = 0x70_0000;
const IDT = 0x68_0000;
const HANDLERS = 0x69_0000;
/** Any more selectors point behind the bench guest's GDT. */
const CODE_SELECTOR = 0x08;

/** RAM, its end, both APICs, the HPET, the top of 4 GiB, non-canonical, the far end, tables, code. */
export const EVIL_ADDRESSES = [
  0n, 0x1000n, 0xffen, BigInt(CODE), BigInt(CODE) + 0xff8n, BigInt(TABLES), BigInt(IDT),
  BigInt(STACK), 0xff_fff8n, 0x100_0000n, 0xfee0_0000n, 0xfee0_0ff0n, 0xfec0_0000n, 0xfec0_0010n,
  0xfed0_0000n, 0xfed0_00ecn, 0xfed0_0ff8n, 0xffff_fff0n, 0x1_0000_0000n, 0x7fff_ffff_fff8n,
  0x8000_0000_0000n, 0xffff_7fff_ffff_ffffn,
  0xffff_8000_0000_0000n, 0xffff_ffff_ffff_fff8n,
]; // prettier-ignore

/** Instructions that reach far: system registers, tables, strings, far transfers, halts. */
const EVIL_CODE: readonly (readonly number[])[] = [
  [0xf3, 0xaa], [0xf3, 0x48, 0xab], [0xf3, 0xa4], [0xf3, 0x48, 0xa5], [0xf2, 0xae], [0xf3, 0xa6],
  [0xf3, 0x6c], [0xf3, 0x6f], [0xe6, 0x80], [0xee], [0xef], [0xec], [0xed],
  [0x0f, 0x22, 0xd8], [0x0f, 0x22, 0xe0], [0x0f, 0x22, 0xc0], [0x0f, 0x20, 0xd8],
  [0x0f, 0x23, 0xc0], [0x0f, 0x23, 0xc9], [0x0f, 0x23, 0xd2], [0x0f, 0x23, 0xf8], [0x0f, 0x21, 0xf0],
  [0x0f, 0x01, 0x18], [0x0f, 0x01, 0x10], [0x0f, 0x01, 0x38], [0x0f, 0x00, 0xd8], [0x0f, 0x00, 0xd0],
  [0x0f, 0x01, 0xf8], [0x0f, 0x30], [0x0f, 0x32], [0x0f, 0xa2], [0x0f, 0x05], [0x48, 0x0f, 0x07],
  [0x0f, 0x34], [0xf4], [0xfa], [0xfb], [0xfb, 0xf4], [0x9d], [0x9c], [0xcf], [0x48, 0xcf], [0xcc],
  [0xf1], [0xcd, 0x80], [0xcd, 0x0e], [0xca, 0x08, 0x00], [0x48, 0xcb], [0xff, 0x28], [0xff, 0x18],
  [0x0f, 0x0b], [0x8e, 0xd8], [0x8e, 0xd0], [0x8e, 0xe0], [0xc8, 0xff, 0xff, 0x1f], [0xc9],
  [0x0f, 0xae, 0x00], [0x0f, 0xae, 0x08], [0x0f, 0xc7, 0x08], [0x48, 0x0f, 0xc7, 0x08],
  [0x48, 0x89, 0xc4], [0x48, 0x89, 0x04, 0x24], [0xff, 0xe0], [0xff, 0xd0], [0xc3], [0x50], [0x58],
  [0xeb, 0xfe], [0xeb, 0xfc], [0x88, 0x05, 0xf8, 0xff, 0xff, 0xff], [0xc6, 0x05, 0, 0, 0, 0, 0x90],
  [0x0f, 0x09], [0x0f, 0x08], [0xf7, 0x30], [0xf7, 0xf1], [0x48, 0xf7, 0xf9], [0x0f, 0x01, 0xd0],
]; // prettier-ignore

export const EVIL_MSRS = [
  0x10, 0x1b, 0xc000_0080, 0xc000_0081, 0xc000_0082, 0xc000_0084, 0xc000_0100, 0xc000_0101,
  0xc000_0102, 0x174, 0x175, 0x176, 0x277, 0x2ff, 0x3f1, 0xffff_ffff,
]; // prettier-ignore

export class HostileGuest {
  readonly machine: Machine;
  private readonly random: Random;

  /** `machine` is power-cycled and spoilt; give one of `hostileMachine`. */
  constructor(machine: Machine, seed: number) {
    this.machine = machine;
    this.random = new Random(seed);
    machine.reset();
    machine.run({ budget: 10_000 });
    this.writeCode();
    if (this.chance(2)) this.writeInterruptTable();
    if (this.chance(2)) this.spoilPageTables();
    if (this.chance(3)) this.spoilDescriptorTables();
    this.spoilRegisters();
    this.startTimers();
  }

  address(): bigint {
    const { random } = this;
    if (this.chance(4)) return this.number();
    return random.pick(EVIL_ADDRESSES) + BigInt(random.below(3) * 8);
  }

  /** A debugger that writes what it likes where it likes. */
  meddle(): void {
    const { machine, random } = this;
    const names = ['rip', 'rsp', 'rflags', 'rcx', 'cr2', 'cr8', 'fs_base', 'mxcsr', 'cr0', 'cs'];
    machine.writeRegister(random.pick(names), this.address());
    if (this.chance(2)) machine.writeLinear(this.address(), Uint8Array.of(random.below(256)));
    if (this.chance(2)) machine.writePhysical(this.address(), new Uint8Array(random.below(5000)));
    if (this.chance(4)) machine.addWatchpoint(this.address(), 1 + random.below(5000), 'access');
    if (this.chance(4)) machine.addBreakpoint(this.address());
    machine.readLinear(this.address(), 5000);
    machine.translate(this.address());
  }

  chance(oneIn: number): boolean {
    return this.random.below(oneIn) === 0;
  }

  private number(): bigint {
    const low = BigInt(this.random.below(0xffff_ffff));
    return (BigInt(this.random.below(0xffff_ffff)) << 32n) | low;
  }

  private writeCode(): void {
    const { random } = this;
    const code = new Uint8Array(0x2000);
    for (let at = 0; at < code.length - 16;) {
      const piece = this.chance(3)
        ? Array.from({ length: 1 + random.below(6) }, () => random.below(256))
        : random.pick(EVIL_CODE);
      code.set(piece, at);
      at += piece.length;
    }
    for (const base of [CODE, HANDLERS]) this.machine.writePhysical(BigInt(base), code);
  }

  /** Gates of every type, with IST or without, to handlers that do anything. */
  private writeInterruptTable(): void {
    const { random } = this;
    const table = new DataView(new ArrayBuffer(4096));
    for (let vector = 0; vector < 256; vector++) {
      const handler = this.chance(8)
        ? Number(this.address() & 0xffff_ffffn)
        : HANDLERS + random.below(4096);
      const type = random.pick([0x8e, 0x8f, 0xee, 0xef, 0x85, 0x00, random.below(256)]);
      table.setUint16(vector * 16, handler & 0xffff, true);
      table.setUint16(vector * 16 + 2, this.chance(9) ? random.below(65536) : CODE_SELECTOR, true);
      table.setUint16(vector * 16 + 4, (type << 8) | random.below(3), true);
      table.setUint16(vector * 16 + 6, (handler >>> 16) & 0xffff, true);
    }
    this.machine.writePhysical(BigInt(IDT), new Uint8Array(table.buffer));
    this.machine['state'].idtrBase = this.chance(5) ? this.address() : BigInt(IDT);
    this.machine['state'].idtrLimit = this.chance(5) ? random.below(65536) : 4095;
  }

  /** Entries of the tables in force point to themselves, to devices, beyond RAM, anywhere. */
  private spoilPageTables(): void {
    const { machine, random } = this;
    const top = machine['state'].cr3 & ~0xfffn;
    const tables = [top];
    for (const table of tables.slice(0, 1)) {
      const entry = machine.readPhysical(table, 8);
      if (entry.length === 8)
        tables.push(new DataView(entry.buffer).getBigUint64(0, true) & 0xf_ffff_f000n);
    }
    for (let count = 1 + random.below(6); count > 0; count--) {
      const table = random.pick(tables);
      const target = random.pick([table, top, this.address() & ~0xfffn, 0xfee0_0000n, 0x100_0000n]);
      const flags = random.pick([7n, 3n, 0x83n, 0x87n, 1n, 0x8000_0000_0000_0003n, 0x1fbn]);
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, target | flags, true);
      machine.writePhysical(
        table + BigInt(random.pick([0, 1, 3, 511, random.below(512)]) * 8),
        bytes,
      );
    }
    machine['memory'].updateTlbContext();
  }

  private spoilDescriptorTables(): void {
    const state = this.machine['state'];
    const which = this.random.below(3);
    if (which === 0) state.gdtrBase = this.address();
    else if (which === 1) state.trBase = this.address();
    else state.gdtrLimit = this.random.below(64);
  }

  private spoilRegisters(): void {
    const { machine, random } = this;
    for (const name of 'rax rbx rdx rsi rdi rbp r8 r9 r10 r11'.split(' ')) {
      machine.writeRegister(name, this.address());
    }
    machine.writeRegister(
      'rcx',
      random.pick([BigInt(random.pick(EVIL_MSRS)), 0xffff_ffffn, 1n << 40n, this.number()]),
    );
    machine.writeRegister('rsp', this.chance(3) ? this.address() : BigInt(STACK));
    machine.writeRegister('rip', this.chance(6) ? this.address() : BigInt(CODE + random.below(64)));
    if (this.chance(3)) machine.writeRegister('rflags', BigInt(random.below(0x40_0000)));
    if (this.chance(4)) this.spoilDebugRegisters();
  }

  private spoilDebugRegisters(): void {
    const state = this.machine['state'];
    for (const name of ['dr0', 'dr1', 'dr2', 'dr3'] as const) state[name] = this.address();
    state.dr7 = BigInt(this.random.below(0x7fff_ffff));
  }

  /** The local APIC's timer and the PIT, as fast as they go. */
  private startTimers(): void {
    if (!this.chance(3)) return;
    const { localApic, portBus } = this.machine['devices'];
    localApic.writePage(0xf0, 4, 0x1ffn);
    localApic.writePage(0x320, 4, BigInt(0x2_0020 | this.random.below(0x80)));
    localApic.writePage(0x3e0, 4, 0xbn);
    localApic.writePage(0x380, 4, 1n);
    portBus.write(0x43, 0x34, 8);
    portBus.write(0x40, 1, 8);
    portBus.write(0x40, 0, 8);
  }
}

export function hostileMachine(engine: EngineKind = 'step'): Machine {
  return new Machine(hostileOptions(engine));
}

export function hostileOptions(engine: EngineKind): MachineOptions {
  return {
    image: BENCH_IMAGE,
    imageName: 'bench.elf',
    commandLine: 'spin',
    memoryBytes: MEMORY_BYTES,
    engine,
  };
}
