/**
 * The memory map that PC firmware reports (E820, ACPI 6.5 §15.1): 640 KiB, the 384 KiB hole with the ACPI
 * tables and the BIOS, RAM from 1 MiB up.
 */
export const MEMORY_AVAILABLE = 1;
export const MEMORY_RESERVED = 2;
/** ACPI tables: free when the kernel has read them. */
export const MEMORY_ACPI_RECLAIMABLE = 3;

export interface MemoryRange {
  readonly address: number;
  readonly lengthBytes: number;
  readonly type: typeof MEMORY_AVAILABLE | typeof MEMORY_RESERVED | typeof MEMORY_ACPI_RECLAIMABLE;
}

const KIB = 1024;
const MIB = 1024 * KIB;
/** The extended BIOS data area takes the last KiB below 640 KiB. */
const EBDA = 0x9_fc00;
const VIDEO = 0xa_0000;
/** Where acpi/acpi-tables.ts puts the tables. */
export const ACPI_TABLES = { address: 0xe_0000, lengthBytes: 4 * KIB } as const;
export const BIOS = 0xf_0000;

/** Ascending, as QEMU's firmware lists them. */
export function pcMemoryMap(memoryBytes: number): readonly MemoryRange[] {
  return [
    { address: 0, lengthBytes: EBDA, type: MEMORY_AVAILABLE },
    { address: EBDA, lengthBytes: VIDEO - EBDA, type: MEMORY_RESERVED },
    { ...ACPI_TABLES, type: MEMORY_ACPI_RECLAIMABLE },
    { address: BIOS, lengthBytes: MIB - BIOS, type: MEMORY_RESERVED },
    { address: MIB, lengthBytes: memoryBytes - MIB, type: MEMORY_AVAILABLE },
  ];
}

/** KiB below 640 KiB and from 1 MiB up: mem_lower and mem_upper of Multiboot. */
export function basicMemoryKib(memoryBytes: number): { lower: number; upper: number } {
  return { lower: Math.floor(EBDA / KIB), upper: Math.floor((memoryBytes - MIB) / KIB) };
}
