/**
 * The memory in which every case runs: 256 KiB, one image. Our machine gets all of it; the host's
 * processor gets the user pages at the same addresses, and its kernel stands for the rest.
 *
 *     physical   linear              what
 *     0x01000    same, supervisor    GDT
 *     0x02000    same, supervisor    IDT: 256 gates to 0x4000 + vector, on IST 1
 *     0x03000    same, supervisor    TSS with an I/O bitmap that allows ports 0xe0–0xef
 *     0x04000    same, supervisor    handlers: nothing but HLT; 0x4100 SYSCALL, 0x4110 SYSCALL from
 *                                    compatibility mode, 0x4120 SYSENTER
 *     0x05000    same, supervisor    exception stack (IST 1, top 0x6000)
 *     0x06000    same, supervisor    ring-0 stack (RSP0, top 0x7000)
 *     0x08000    –                   page tables
 *     0x20000    same, executable    code, two pages; between cases nothing but INT3
 *     0x22000    not mapped, up to 0x30000
 *     0x30000    same, 0xffff8000…   integers, mixed from ordinary and boundary values
 *     0x31000    same                floats
 *     0x32000    same                doubles
 *     0x33000    same                stack
 *     0x34000    not mapped
 *     0x35000    same, read-only     integers
 *     0x36000    same, supervisor    integers
 *     0x37000    0x7fff_ffff_f000    the last page of the lower half; 0x37000 itself is not mapped
 *
 * Pages are user pages where nothing else is said; data pages are no-execute. All entries are
 * accessed and dirty from the start, all descriptors accessed, so that only the instruction changes
 * memory. What pages' accessed bits do is tested with the page walk.
 */
import { Random } from './random.ts';

export const WORLD_BYTES = 0x4_0000;

export const PLACE = {
  gdt: 0x1000,
  idt: 0x2000,
  tss: 0x3000,
  handlers: 0x4000,
  exceptionStackTop: 0x6000,
  kernelStackTop: 0x7000,
  pageTables: 0x8000,
  code: 0x2_0000,
  codeEnd: 0x2_2000,
  integers: 0x3_0000,
  floats: 0x3_1000,
  doubles: 0x3_2000,
  stack: 0x3_3000,
  readOnly: 0x3_5000,
  supervisor: 0x3_6000,
  lastPage: 0x3_7000,
} as const;

/** Where a case's instruction stands: branches of 2 KiB either way stay in the code pages. */
export const START = 0x2_0800;
/** RSP when a case begins. */
export const STACK_POINTER = 0x3_3800;
/** What the host's processor shares: PLACE.code up to here. */
export const SHARED_END = 0x3_6000;
/** The integers once more, in the upper half. */
export const UPPER_HALF = 0xffff_8000_0000_0000n;
export const LOWER_HALF_LAST_PAGE = 0x7fff_ffff_f000n;

/** Up to userCode and the TSS these are Linux's, so that the hardware answers LAR and LSL alike. */
export const SELECTOR = {
  kernelCode32: 0x08,
  kernelCode: 0x10,
  kernelData: 0x18,
  userCode32: 0x23,
  userData: 0x2b,
  userCode: 0x33,
  tss: 0x40,
  callGate: 0x80,
  notPresent: 0x90,
  conforming: 0x98,
  readOnlyData: 0xa0,
  executeOnly: 0xa8,
  expandDown: 0xb0,
  ldt: 0xb8,
  freeTss: 0xc8,
  kernelCode16: 0xd8,
} as const;

/** Flat descriptors: attribute bits as in the descriptor's bits 40–55. */
const FLAT_DESCRIPTORS: readonly (readonly [selector: number, attributes: number])[] = [
  [SELECTOR.kernelCode, 0xaf9b],
  [SELECTOR.kernelData, 0xcf93],
  [SELECTOR.kernelCode32, 0xcf9b],
  [SELECTOR.userCode32, 0xcffb],
  [SELECTOR.userData, 0xcff3],
  [SELECTOR.userCode, 0xaffb],
  [SELECTOR.kernelCode16, 0x8f9b],
  [SELECTOR.notPresent, 0xcf73],
  [SELECTOR.conforming, 0xaf9f],
  [SELECTOR.readOnlyData, 0xcff1],
  [SELECTOR.executeOnly, 0xcff9],
];

function descriptor(base: number, limit: number, attributes: number): bigint {
  const low = (limit & 0xffff) | ((base & 0xffff) * 0x1_0000);
  const middle = ((base >>> 16) & 0xff) | (attributes << 8) | (((base >>> 24) & 0xff) << 24);
  return BigInt(low >>> 0) | (BigInt(middle >>> 0) << 32n);
}

function writeGdt(view: DataView): void {
  const put = (selector: number, value: bigint): void =>
    view.setBigUint64(PLACE.gdt + (selector & ~7), value, true);
  for (const [selector, attributes] of FLAT_DESCRIPTORS)
    put(selector, descriptor(0, 0xffff, attributes));
  put(SELECTOR.expandDown, descriptor(0, 0x0fff, 0x40f7));
  put(SELECTOR.tss, descriptor(PLACE.tss, 0x87, 0x008b));
  put(SELECTOR.freeTss, descriptor(PLACE.tss, 0x87, 0x0089));
  put(SELECTOR.ldt, descriptor(PLACE.gdt, 0x7f, 0x0082));
  // A 64-bit call gate of DPL 3 to the handlers' page.
  put(SELECTOR.callGate, 0x0000_ec00_0010_4200n);
}

/** DPL 3 for #BP, #OF and 0x80–0x8f; 0x81 without IST, 0x82 a trap gate, 0x83 not present. */
function writeIdt(view: DataView): void {
  for (let vector = 0; vector < 256; vector++) {
    const isUser = vector === 3 || vector === 4 || (vector >= 0x80 && vector < 0x90);
    const type = (vector === 0x82 ? 0x8f : vector === 0x83 ? 0x0e : 0x8e) | (isUser ? 0x60 : 0);
    const ist = vector === 0x81 ? 0 : 1;
    const gate = PLACE.idt + vector * 16;
    view.setUint16(gate, PLACE.handlers + vector, true);
    view.setUint16(gate + 2, SELECTOR.kernelCode, true);
    view.setUint16(gate + 4, ist | (type << 8), true);
  }
}

function writeTss(view: DataView): void {
  view.setUint32(PLACE.tss + 4, PLACE.kernelStackTop, true);
  view.setUint32(PLACE.tss + 0x24, PLACE.exceptionStackTop, true);
  view.setUint16(PLACE.tss + 0x66, 0x68, true);
  for (let byte = 0x68; byte <= 0x88; byte++) view.setUint8(PLACE.tss + byte, 0xff);
  for (const byte of [28, 29]) view.setUint8(PLACE.tss + 0x68 + byte, 0);
}

const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
/** Accessed and dirty. */
const USED = 0x60n;
const NO_EXECUTE = 1n << 63n;

function leafFlags(page: number): bigint {
  const isHole = page >= PLACE.codeEnd && page < PLACE.integers;
  if (isHole || page === 0x34000 || page === 0x37000 || page < 0x1000) return 0n;
  if (page < PLACE.code) return PRESENT | WRITABLE | USED;
  if (page < PLACE.integers) return PRESENT | USER | USED;
  const data = PRESENT | USED | NO_EXECUTE;
  if (page === PLACE.readOnly) return data | USER;
  return page === PLACE.supervisor ? data | WRITABLE : data | WRITABLE | USER;
}

/** Three chains of tables: the first 256 KiB one to one, the upper half, the lower half's end. */
function writePageTables(view: DataView): void {
  const inner = PRESENT | WRITABLE | USER | USED;
  let table = PLACE.pageTables;
  const chain = (linear: bigint): number => {
    let place: number = PLACE.pageTables;
    for (const shift of [39n, 30n, 21n]) {
      table += 0x1000;
      view.setBigUint64(place + Number((linear >> shift) & 511n) * 8, BigInt(table) | inner, true);
      place = table;
    }
    return place;
  };
  const low = chain(0n);
  for (let page = 0; page < WORLD_BYTES; page += 0x1000) {
    const flags = leafFlags(page);
    view.setBigUint64(low + (page >> 12) * 8, flags === 0n ? 0n : BigInt(page) | flags, true);
  }
  const data = inner | NO_EXECUTE;
  view.setBigUint64(chain(UPPER_HALF), BigInt(PLACE.integers) | data, true);
  const end = chain(LOWER_HALF_LAST_PAGE);
  view.setBigUint64(end + 511 * 8, BigInt(PLACE.lastPage) | data, true);
}

function writeData(view: DataView): void {
  const random = new Random(1n);
  const fill = (page: number, next: () => bigint): void => {
    for (let at = 0; at < 0x1000; at += 8) view.setBigUint64(page + at, next(), true);
  };
  for (const page of [PLACE.integers, PLACE.stack, PLACE.readOnly, PLACE.supervisor])
    fill(page, () => random.integer());
  fill(PLACE.lastPage, () => random.integer());
  fill(PLACE.floats, () => random.float32Pair());
  fill(PLACE.doubles, () => random.float64());
}

/** The image, made anew: 256 KiB. The code pages hold INT3. */
export function worldImage(): Uint8Array {
  const bytes = new Uint8Array(WORLD_BYTES);
  const view = new DataView(bytes.buffer);
  writeGdt(view);
  writeIdt(view);
  writeTss(view);
  writePageTables(view);
  writeData(view);
  bytes.fill(0xf4, PLACE.handlers, PLACE.handlers + 0x1000);
  bytes.fill(0xcc, PLACE.code, PLACE.codeEnd);
  return bytes;
}
