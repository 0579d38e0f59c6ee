/**
 * The ACPI tables that PC firmware leaves in memory (ACPI 6.5 §5.2). The root pointer is where kernels
 * without a boot loader's help look for it: on a 16-byte boundary in the BIOS area (§5.2.5.1).
 *
 *     0x000e_0000   XSDT, RSDT, FADT, MADT, HPET, DSDT   a page that may be reclaimed (E820 type 3)
 *     0x000f_0000   RSDP                           reserved
 *     0x000f_0040   FACS                           reserved: the firmware's, on 64 bytes
 */
import type { PhysicalAddress } from '../../addresses.ts';
import {
  PM1_CONTROL_PORT,
  PM1_EVENT_PORT,
  PM_TIMER_PORT,
  SCI_IRQ,
} from '../../devices/acpi-power.ts';
import { HPET_BLOCK_ID, HPET_PAGE } from '../../devices/hpet.ts';
import { IO_APIC_PAGE } from '../../devices/io-apic.ts';
import { APIC_PAGE } from '../../devices/local-apic.ts';
import { RESET_CONTROL_PORT, RESET_HARD } from '../../devices/system-control.ts';
import type { BootWrite } from '../boot-protocol.ts';
import { ByteWriter } from '../byte-writer.ts';
import { ACPI_TABLES, BIOS } from '../memory-map.ts';
import { dsdtTerms } from './dsdt.ts';

export const RSDP_ADDRESS = BIOS;
const FACS_ADDRESS = BIOS + 0x40;
const FACS_BYTES = 64;

const OEM_ID = 'EXOSCO';
const OEM_TABLE_ID = 'EXOSCOPE';
const CREATOR_ID = 'EXOS';
const TABLE_ALIGNMENT = 16;
/** The RSDP of ACPI 1.0, up to and including the RSDT's address. */
const RSDP1_BYTES = 20;
const RSDP_BYTES = 36;

/** The PC's tables at their places in RAM. */
export function acpiTables(): readonly BootWrite[] {
  const area = new TableArea();
  const dsdt = area.place(acpiTable('DSDT', 2, Uint8Array.from(dsdtTerms())));
  const entries = [fadt(dsdt), madt(), hpet()].map((table) => area.place(table));
  const rsdt = area.place(acpiTable('RSDT', 1, new ByteWriter().u32(...entries).build()));
  const xsdt = area.place(acpiTable('XSDT', 1, new ByteWriter().u64(...entries).build()));
  area.write(FACS_ADDRESS, facs());
  area.write(RSDP_ADDRESS, rootPointer(2, rsdt, xsdt));
  return area.writes;
}

/** The root pointer as it stands in memory, revision 2, and as ACPI 1.0 had it. */
export function rootPointers(): { readonly current: Uint8Array; readonly old: Uint8Array } {
  const current = acpiTables().find(({ address }) => address === RSDP_ADDRESS)?.bytes;
  if (current === undefined) throw new Error('the tables have no root');
  const rsdt = new DataView(current.buffer, current.byteOffset).getUint32(16, true);
  return { current, old: rootPointer(0, rsdt, 0) };
}

/** Places tables one behind the other in the page that memory maps give as ACPI's. */
class TableArea {
  readonly writes: BootWrite[] = [];
  #next: number = ACPI_TABLES.address;

  place(bytes: Uint8Array): number {
    const address = this.#next;
    this.#next = Math.ceil((address + bytes.length) / TABLE_ALIGNMENT) * TABLE_ALIGNMENT;
    const end = ACPI_TABLES.address + ACPI_TABLES.lengthBytes;
    if (address + bytes.length > end) throw new Error('the ACPI tables do not fit their page');
    this.write(address, bytes);
    return address;
  }

  write(address: number, bytes: Uint8Array): void {
    this.writes.push({ address: address as PhysicalAddress, bytes });
  }
}

/** A table with its header (§5.2.6): all bytes add up to 0. */
function acpiTable(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const bytes = new ByteWriter()
    .ascii(signature)
    .u32(36 + body.length)
    .u8(revision, 0)
    .ascii(OEM_ID, OEM_TABLE_ID)
    .u32(1)
    .ascii(CREATOR_ID)
    .u32(1)
    .bytes(body)
    .build();
  return withChecksum(bytes, 9);
}

/** Root System Description Pointer (§5.2.5.3); revision 0 is the 20 bytes of ACPI 1.0. */
function rootPointer(revision: 0 | 2, rsdt: number, xsdt: number): Uint8Array {
  const first = new ByteWriter().ascii('RSD PTR ').u8(0).ascii(OEM_ID).u8(revision).u32(rsdt);
  if (revision === 0) return withChecksum(first.build(), 8);
  const bytes = first.u32(RSDP_BYTES).u64(xsdt).u32(0).build();
  withChecksum(bytes.subarray(0, RSDP1_BYTES), 8);
  return withChecksum(bytes, 32);
}

/** Fixed ACPI Description Table (§5.2.9), revision 6.5. */
function fadt(dsdt: number): Uint8Array {
  const LEGACY_DEVICES_AND_8042 = 0x0003;
  /** WBINVD, PROC_C1, no fixed power or sleep button, RTC not a fixed event, RESET_REG_SUP. */
  const FLAGS = 0x0000_0475;
  const DESKTOP = 1;
  const RTC_CENTURY = 0x32;
  const NO_C2_OR_C3 = 0xffff;
  const body = new ByteWriter()
    .u32(FACS_ADDRESS, dsdt)
    .u8(0, DESKTOP)
    .u16(SCI_IRQ)
    .u32(0) // no SMI command port: always in ACPI mode
    .u8(0, 0, 0, 0)
    .u32(PM1_EVENT_PORT, 0, PM1_CONTROL_PORT, 0, 0, PM_TIMER_PORT, 0, 0)
    .u8(4, 2, 0, 4, 0, 0, 0, 0) // lengths of PM1_EVT, PM1_CNT, PM2_CNT, PM_TMR, GPE0, GPE1
    .u16(NO_C2_OR_C3, NO_C2_OR_C3, 0, 0)
    .u8(0, 0, 0, 0, RTC_CENTURY)
    .u16(LEGACY_DEVICES_AND_8042)
    .u8(0)
    .u32(FLAGS)
    .bytes(ioRegister(RESET_CONTROL_PORT, 1))
    .u8(RESET_HARD)
    .u16(0)
    .u8(5) // minor version
    .u64(0, dsdt) // the FACS is below 4 GiB: its field is the first one
    .bytes(ioRegister(PM1_EVENT_PORT, 4))
    .bytes(new Uint8Array(12))
    .bytes(ioRegister(PM1_CONTROL_PORT, 2))
    .bytes(new Uint8Array(24))
    .bytes(ioRegister(PM_TIMER_PORT, 4))
    .bytes(new Uint8Array(48)) // GPE0, GPE1, sleep control, sleep status
    .u64(0)
    .build();
  return acpiTable('FACP', 6, body);
}

/** Generic Address Structure (§5.2.3.2) of a port, accessed as a whole. */
function ioRegister(port: number, lengthBytes: 1 | 2 | 4): Uint8Array {
  const SYSTEM_IO = 1;
  // PM1_EVT is two registers of 16 bits.
  const accessSize = port === PM1_EVENT_PORT ? 2 : { 1: 1, 2: 2, 4: 3 }[lengthBytes];
  return new ByteWriter()
    .u8(SYSTEM_IO, 8 * lengthBytes, 0, accessSize)
    .u64(port)
    .build();
}

/** Firmware ACPI Control Structure (§5.2.10), version 2: no waking vector, nobody has the lock. */
function facs(): Uint8Array {
  const bytes = new Uint8Array(FACS_BYTES);
  bytes.set(new ByteWriter().ascii('FACS').u32(FACS_BYTES).build());
  bytes[32] = 2;
  return bytes;
}

/** Multiple APIC Description Table (§5.2.12). */
function madt(): Uint8Array {
  const PCAT_COMPAT = 1; // there is a pair of 8259s, too
  const LOCAL_APIC = 0;
  const IO_APIC = 1;
  const SOURCE_OVERRIDE = 2;
  const LOCAL_APIC_NMI = 4;
  const ENABLED = 1;
  const ALL_PROCESSORS = 0xff;
  const ACTIVE_HIGH_LEVEL = 0xd;
  const body = new ByteWriter()
    .u32(APIC_PAGE, PCAT_COMPAT)
    .u8(LOCAL_APIC, 8, 0, 0)
    .u32(ENABLED)
    .u8(IO_APIC, 12, 0, 0)
    .u32(IO_APIC_PAGE, 0)
    .u8(SOURCE_OVERRIDE, 10, 0, 0)
    .u32(2) // the PIT's input
    .u16(0)
    .u8(SOURCE_OVERRIDE, 10, 0, SCI_IRQ)
    .u32(SCI_IRQ)
    .u16(ACTIVE_HIGH_LEVEL)
    .u8(LOCAL_APIC_NMI, 6, ALL_PROCESSORS)
    .u16(0)
    .u8(1)
    .build();
  return acpiTable('APIC', 5, body);
}

/** The block of timers (IA-PC HPET 1.0a §3.2.4): number 0, no page protection, no least period. */
function hpet(): Uint8Array {
  const SYSTEM_MEMORY = 0;
  const body = new ByteWriter()
    .u32(HPET_BLOCK_ID)
    .u8(SYSTEM_MEMORY, 64, 0, 0)
    .u64(HPET_PAGE)
    .u8(0)
    .u16(0)
    .u8(0)
    .build();
  return acpiTable('HPET', 1, body);
}

/** Sets the byte at `place` so that all add up to 0 modulo 256; returns `bytes`. */
function withChecksum(bytes: Uint8Array, place: number): Uint8Array {
  bytes[place] = 0;
  bytes[place] = -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return bytes;
}
