/**
 * What the Differentiated System Description Table (ACPI 6.5 §5.2.11.1) tells of this PC, as AML: how
 * to switch it off, and the ISA devices that no bus enumerates. The `_HID`s are the Plug and Play ones.
 */
import { SLEEP_TYPE_OFF } from '../../devices/acpi-power.ts';
import { HPET_PAGE } from '../../devices/hpet.ts';
import type { AmlBytes } from './aml.ts';
import {
  amlDevice,
  amlEisaId,
  amlInteger,
  amlName,
  amlPackage,
  amlResources,
  amlScope,
  ioResource,
  irqResource,
  memoryResource,
} from './aml.ts';

/** IA-PC HPET 1.0a §2.3.1: what a block of timers decodes. */
const HPET_BYTES = 0x400;

/** The definition block: the bytes behind the table's header. */
export function dsdtTerms(): AmlBytes {
  return [
    // Sleep types for PM1a and PM1b, two reserved (§7.4.2.6).
    ...amlName('_S5', amlPackage(amlInteger(SLEEP_TYPE_OFF), amlInteger(SLEEP_TYPE_OFF), [0], [0])),
    ...amlScope(
      '_SB',
      isaDevice('PIC', 'PNP0000', ioResource(0x20, 2), ioResource(0xa0, 2), irqResource(2)),
      isaDevice('TIMR', 'PNP0100', ioResource(0x40, 4), irqResource(0)),
      isaDevice('HPET', 'PNP0103', memoryResource(HPET_PAGE, HPET_BYTES)),
      isaDevice('RTC', 'PNP0B00', ioResource(0x70, 2), irqResource(8)),
      isaDevice('KBD', 'PNP0303', ioResource(0x60, 1), ioResource(0x64, 1), irqResource(1)),
      isaDevice('COM1', 'PNP0501', ioResource(0x3f8, 8), irqResource(4)),
    ),
  ];
}

function isaDevice(name: string, id: string, ...resources: readonly AmlBytes[]): AmlBytes {
  return amlDevice(
    name,
    amlName('_HID', amlEisaId(id)),
    amlName('_CRS', amlResources(...resources)),
  );
}
