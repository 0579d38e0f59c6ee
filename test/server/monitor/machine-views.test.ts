import { beforeEach, describe, expect, it } from 'vitest';
import { GuestView } from '../../../server/awareness/guest-view.ts';
import type { FaultRecord } from '../../../server/monitor/monitor-command.ts';
import { MonitorCommands } from '../../../server/monitor/monitor-commands.ts';
import { SymbolTable } from '../../../server/symbols/symbol-table.ts';
import { FakeMachine } from '../fake-machine.ts';

const IDT = 0x10000n;
const GDT = 0x11000n;
const TSS = 0x12000n;
const TABLES = 0x20000n;
const KERNEL_CODE = 0x00af_9b00_0000_ffffn;

let machine: FakeMachine;
let fault: FaultRecord | undefined;

/** 4-level tables: the first 1 MiB one to one in 4 KiB pages, supervisor and writable. */
function mapFirstMegabyte(): void {
  machine.registers.set('cr3', TABLES);
  machine.putU64(TABLES, TABLES + 0x1003n);
  machine.putU64(TABLES + 0x1000n, TABLES + 0x2003n);
  machine.putU64(TABLES + 0x2000n, TABLES + 0x3003n);
  for (let page = 0n; page < 256n; page++) setPage(page << 12n, 3n);
}

function setPage(linear: bigint, bits: bigint): void {
  machine.putU64(TABLES + 0x3000n + (linear >> 12n) * 8n, linear | bits);
}

function gate(
  vector: number,
  { attributes = 0x8en, stackTable = 0n, offset = 0x1500n } = {},
): void {
  const place = IDT + BigInt(vector) * 16n;
  machine.putU64(
    place,
    (offset & 0xffffn) | (8n << 16n) | (stackTable << 32n) | (attributes << 40n),
  );
  machine.putU64(place + 8n, 0n);
}

beforeEach(() => {
  machine = new FakeMachine();
  fault = undefined;
  mapFirstMegabyte();
  const set = { idtr_base: IDT, idtr_limit: 0xfffn, gdtr_base: GDT, gdtr_limit: 0x37n };
  const tss = { tr: 0x28n, tr_base: TSS, tr_limit: 0x67n, cs_attributes: 0xa09bn, cs_base: 0n };
  for (const [name, value] of Object.entries({ ...set, ...tss }))
    machine.registers.set(name, value);
  machine.putU64(GDT + 8n, KERNEL_CODE);
  machine.putU64(GDT + 16n, 0x00cf_9300_0000_ffffn);
  machine.putU64(GDT + 0x28n, 0x0000_8b01_2000_0067n);
  machine.putU64(TSS + 4n, 0x9000n);
  machine.putU64(TSS + 36n, 0xdead_0000n);
});

function ask(commandLine: string): { text: string; failure: string | undefined } {
  const commands = new MonitorCommands({
    machine,
    guest: new GuestView(machine, undefined),
    forks: undefined,
    symbols: new SymbolTable([{ name: 'handler', address: 0x1500n, size: 64n, isFunction: true }]),
    fault: () => fault,
    reset: () => undefined,
  });
  let text = '';
  const output = (part: string): void => void (text += part);
  const { failure } = commands.run({ commandLine, access: 'look', selectedTid: 0, output });
  return { text, failure };
}

describe('translate', () => {
  it('says what all levels allow together, and which level denies', () => {
    machine.putU64(TABLES, TABLES + 0x1001n);
    expect(ask('translate 0x5123').text).toContain(
      'at physical 0x0000000000005123: 4 KiB page, supervisor, read-only (by its PML4E), executable',
    );
  });

  it('names the entry that ends a walk, reserved bits, and addresses that cannot be', () => {
    setPage(0x5000n, 0n);
    machine.putU64(TABLES + 0x3000n + 6n * 8n, 0x6003n | (1n << 45n));
    machine.putU64(TABLES + 8n, 0x7777_7777_0003n);
    expect(ask('translate 0x5123').text).toContain('entry 5 of its page table is not present');
    expect(ask('translate 0x6123').text).toContain('reserved bits set: 0x200000000000');
    expect(ask('translate 0x8000000000').text).toContain('reserved bits');
    expect(ask('translate 0x800000000000').text).toContain('not canonical (bits 63-47 differ)');
  });

  it('walks PAE tables', () => {
    machine.registers.set('efer', 0n);
    machine.putU64(TABLES, TABLES + 0x1001n);
    machine.putU64(TABLES + 0x1000n, 0x0020_0083n);
    const { text } = ask('translate 0x123456');
    expect(text).toMatch(/^PAE paging\nPDPTE .*\nPDE /);
    expect(text).toContain('at physical 0x0000000000323456: 2 MiB page, supervisor, writable');
  });

  it('walks 32-bit tables with their 4 MiB pages, and none without paging', () => {
    machine.registers.set('efer', 0n).set('cr4', 0x10n);
    machine.putU32(TABLES + 4n, 0x0080_0087);
    const { text } = ask('translate 0x412345');
    expect(text).toMatch(/^32-bit paging\nPDE {3}0x0000000000020004: 0x0000000000800087/);
    expect(text).toContain('at physical 0x0000000000812345: 4 MiB page, user, writable');
    machine.registers.set('cr0', 0x11n);
    expect(ask('translate 0x412345').text).toContain('paging is off');
  });
});

describe('info idt, gdt and tss', () => {
  it('list the gates that are filled', () => {
    gate(14);
    gate(3, { attributes: 0x6fn, stackTable: 2n });
    const lines = ask('info idt').text.split('\n');
    expect(lines[0]).toBe('IDT at 0x0000000000010000, limit 0xfff, 256 gates');
    expect(lines[2]).toMatch(/^ +3 +trap, not present +3 +2 +0x08 +0x0+1500 <handler> +#BP/);
    expect(lines[3]).toMatch(/^ +14 +interrupt +0 +0 +0x08/);
    expect(ask('info idt 3').text).not.toContain('#PF');
    expect(ask('info idt 256').failure).toContain('0 to 255');
  });

  it('read 8-byte gates outside of long mode', () => {
    machine.registers.set('efer', 0n);
    machine.putU64(IDT + 14n * 8n, 0x0001_8e00_0008_1500n);
    expect(ask('info idt 14').text).toMatch(/14 +interrupt +0 +0 +0x08 +0x0000000000011500/);
  });

  it('describe descriptors and who has loaded them', () => {
    const { text } = ask('info gdt');
    expect(text).toMatch(/^0x0008 +0x0+ +0xffffffff +0 +64-bit code, readable +cs$/m);
    expect(text).toMatch(/^0x0010 .* data, writable$/m);
    expect(text).toMatch(/^0x0028 +0x0000000000012000 +0x00000067 +0 +TSS, busy +tr$/m);
  });

  it('show which interrupt stacks are mapped', () => {
    const { text } = ask('info tss');
    expect(text).toMatch(/^RSP0 +0x0000000000009000 +writable$/m);
    expect(text).toMatch(/^IST1 +0x00000000dead0000 +NOT MAPPED$/m);
    expect(text).toMatch(/^IST2 +0 +not set$/m);
    machine.registers.set('tr', 0n);
    expect(ask('info tss').text).toBe('no task register is loaded (tr is null)\n');
  });

  it('say so when the tables themselves are not mapped', () => {
    machine.registers.set('idtr_base', 0x40_0000n).set('gdtr_base', 0x40_0000n);
    expect(ask('info idt').text).toContain('its memory is not mapped');
    expect(ask('info gdt').text).toContain('its memory is not mapped');
  });
});

describe('disassemble', () => {
  beforeEach(() => void machine.writeLinear(0x14f8n, Uint8Array.of(0xe8, 3, 0, 0, 0, 0x0f, 0x0b)));

  it('marks rip and names the targets of calls', () => {
    machine.registers.set('rip', 0x14fdn);
    expect(ask('disassemble 0x14f8 2').text).toBe(
      '   00000000000014f8  call 0x1500 <handler>\n=> 00000000000014fd  ud2\n',
    );
  });

  it('follows the width of the code segment', () => {
    machine.writeLinear(0x1500n, Uint8Array.of(0x48, 0x89, 0xd8));
    expect(ask('disassemble handler 1').text).toContain('mov rax,rbx');
    machine.registers.set('cs_attributes', 0x409bn);
    expect(ask('disassemble handler 1').text).toContain('dec eax');
  });

  it('stops at the end of memory and refuses what is not there', () => {
    expect(ask('disassemble 0xffffe').text.split('\n')).toHaveLength(2);
    expect(ask('disassemble 0x40000000').failure).toBe('0x0000000040000000 is not mapped to RAM');
    expect(ask('disassemble 0 100000').failure).toContain('at most 1000');
  });
});

describe('why', () => {
  const record = (chain: FaultRecord['chain']): FaultRecord => ({
    kind: 'triple fault',
    chain,
    rip: 0x14f8n,
    rsp: 0x8000n,
    cr2: 0xdead_beefn,
    cr3: TABLES,
  });

  it('has nothing to say of a guest that has not faulted', () => {
    expect(ask('why').failure).toContain('nothing to explain');
  });

  it('explains each link of a triple fault: cause, page walk, gate', () => {
    gate(14);
    gate(8, { attributes: 0x0en });
    machine.registers.set('rsp', 0x4000_0000n);
    fault = record([
      { vector: 14, errorCode: 2, address: 0x10n },
      { vector: 14, errorCode: 2, address: 0x3fff_fff8n },
      { vector: 8, errorCode: 0 },
      { vector: 11, errorCode: 8 * 8 + 2 + 1 },
    ]);
    setPage(0n, 0n);
    const { text } = ask('why');
    expect(text).toMatch(/^triple fault in 0x00000000000014f8: /);
    expect(text).toContain(
      '1. #PF page fault, error code 0x2: a write by the kernel to 0x0000000000000010',
    );
    expect(text).toContain('(the first page: most likely a null pointer)');
    expect(text).toContain('entry 0 of its page table is not present');
    expect(text).toContain('handler: interrupt gate 14 to 0x8:0x0000000000001500 <handler>');
    expect(text).toContain('its frame cannot be pushed');
    expect(text).toContain('both together are a double fault');
    expect(text).toMatch(/IDT gate 8 at 0x\w+ is not present: #NP/);
    expect(text).toContain('about IDT gate 8, met while an exception or interrupt was delivered');
    expect(text).toContain('the CPU shuts down');
  });

  it.each([
    [
      'a read-only page',
      3,
      1n,
      0x1_0000n,
      0n,
      'the page is read-only (CR0.WP binds the kernel too)',
    ],
    ['a supervisor page', 5, 3n, 0n, 0n, 'user code may not use a supervisor page'],
    ['SMAP', 1, 7n, 0n, 1n << 21n, 'denied by SMAP'],
    ['SMEP', 0x11, 7n, 0n, 1n << 20n, 'denied by SMEP'],
    ['no-execute', 0x11, 3n | (1n << 63n), 0n, 0n, 'the page is not executable'],
  ])('names the rule that denied access: %s', (_name, errorCode, bits, wp, cr4, expected) => {
    machine.registers
      .set('cr0', 0x8000_0011n | wp)
      .set('cr4', 0x20n | cr4)
      .set('efer', 0xd00n);
    // The levels above allow everything, so that the page decides.
    machine.putU64(TABLES, TABLES + 0x1007n);
    machine.putU64(TABLES + 0x1000n, TABLES + 0x2007n);
    machine.putU64(TABLES + 0x2000n, TABLES + 0x3007n);
    setPage(0x5000n, bits);
    fault = { ...record([{ vector: 14, errorCode, address: 0x5008n }]), kind: 'caught' };
    const { text } = ask('why');
    expect(text).toMatch(/^stopped before the exception is delivered, in /);
    expect(text).toContain(expected);
  });

  it('tries a vector out: every step at which an entry can fail', () => {
    expect(ask('why 13').text).toContain('is empty: nobody has installed a handler: #GP');
    gate(13);
    expect(ask('why 13').text).toContain('the handler is entered');
    gate(13, { stackTable: 1n });
    expect(ask('why 13').text).toContain('IST1 = 0x00000000dead0000; its frame cannot be pushed');
    gate(13, { attributes: 0x8cn });
    expect(ask('why 13').text).toContain('has type 12, which is no gate: #GP');
    gate(13, { offset: 0xffn << 12n });
    setPage(0xf_f000n, 0n);
    machine.putU64(IDT + 13n * 16n, 0xf000n | (8n << 16n) | (0x8en << 40n) | (0xfn << 48n));
    expect(ask('why 13').text).toContain('its first instruction cannot be fetched');
    machine.putU64(GDT + 8n, 0x00cf_9b00_0000_ffffn);
    expect(ask('why 13').text).toContain('a handler must be 64-bit code: #GP');
    machine.putU64(GDT + 8n, 0x00af_1b00_0000_ffffn);
    expect(ask('why 13').text).toContain('selector 0x8 is not present: #NP');
    machine.registers.set('idtr_limit', 0n);
    expect(ask('why 13').text).toContain('vector 13 lies beyond the IDT');
  });
});
