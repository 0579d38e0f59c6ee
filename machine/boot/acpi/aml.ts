/**
 * Builds ACPI Machine Language (ACPI 6.5 §20.2) and resource templates (§6.4), as far as a description
 * of fixed ISA devices needs them. All functions return the encoded bytes of one term.
 */
const NAME = 0x08;
const BYTE_PREFIX = 0x0a;
const WORD_PREFIX = 0x0b;
const DWORD_PREFIX = 0x0c;
const SCOPE = 0x10;
const BUFFER = 0x11;
const PACKAGE = 0x12;
const EXTENDED = 0x5b;
const DEVICE = 0x82;

export type AmlBytes = readonly number[];

/** `Name (NAME, value)`. */
export function amlName(name: string, value: AmlBytes): AmlBytes {
  return [NAME, ...nameBytes(name), ...value];
}

/** `Scope (NAME) { terms }`. */
export function amlScope(name: string, ...terms: readonly AmlBytes[]): AmlBytes {
  return [SCOPE, ...withPackageLength([...nameBytes(name), ...terms.flat()])];
}

/** `Device (NAME) { terms }`. */
export function amlDevice(name: string, ...terms: readonly AmlBytes[]): AmlBytes {
  return [EXTENDED, DEVICE, ...withPackageLength([...nameBytes(name), ...terms.flat()])];
}

export function amlPackage(...elements: readonly AmlBytes[]): AmlBytes {
  return [PACKAGE, ...withPackageLength([elements.length, ...elements.flat()])];
}

/** The shortest encoding of an unsigned integer of up to 32 bits. */
export function amlInteger(value: number): AmlBytes {
  if (value <= 1) return [value];
  if (value <= 0xff) return [BYTE_PREFIX, value];
  if (value <= 0xffff) return [WORD_PREFIX, ...littleEndian(value, 2)];
  return [DWORD_PREFIX, ...littleEndian(value, 4)];
}

/** `EisaId ("PNP0501")`: three letters of 5 bits and four hexadecimal digits (§19.6.36). */
export function amlEisaId(id: string): AmlBytes {
  const [first = 0, second = 0, third = 0] = [0, 1, 2].map((place) => id.charCodeAt(place) & 0x1f);
  const product = parseInt(id.slice(3), 16);
  const vendor = (first << 10) | (second << 5) | third;
  const bytes = [vendor >> 8, vendor & 0xff, product >> 8, product & 0xff];
  return amlInteger(bytes.reduceRight((value, byte) => value * 256 + byte, 0));
}

/** A buffer of resource descriptors with its end tag, whose checksum of 0 means: not checked. */
export function amlResources(...descriptors: readonly AmlBytes[]): AmlBytes {
  const bytes = [...descriptors.flat(), 0x79, 0];
  return [BUFFER, ...withPackageLength([...amlInteger(bytes.length), ...bytes])];
}

/** `IO (Decode16, first, first, 1, count)` (§6.4.2.5). */
export function ioResource(first: number, count: number): AmlBytes {
  return [0x47, 1, ...littleEndian(first, 2), ...littleEndian(first, 2), 1, count];
}

/** `IRQNoFlags () { irq }`: edge-triggered, active high (§6.4.2.1). */
export function irqResource(irq: number): AmlBytes {
  return [0x22, ...littleEndian(1 << irq, 2)];
}

/** `Memory32Fixed (ReadOnly, address, length)` (§6.4.3.4). */
export function memoryResource(address: number, lengthBytes: number): AmlBytes {
  return [0x86, 9, 0, 0, ...littleEndian(address, 4), ...littleEndian(lengthBytes, 4)];
}

/** A name segment: four characters, filled up with underscores (§20.2.2). */
function nameBytes(name: string): AmlBytes {
  const segment = name.padEnd(4, '_');
  return [0, 1, 2, 3].map((place) => segment.charCodeAt(place));
}

/** PkgLength (§20.2.4) counts itself: one byte up to 63, two up to 4095. */
function withPackageLength(content: AmlBytes): AmlBytes {
  const short = content.length + 1;
  if (short < 0x40) return [short, ...content];
  const long = content.length + 2;
  if (long > 0xfff) throw new RangeError(`an AML package of ${long} bytes`);
  return [0x40 | (long & 0xf), long >> 4, ...content];
}

function littleEndian(value: number, lengthBytes: number): AmlBytes {
  return Array.from({ length: lengthBytes }, (_, index) => (value >>> (8 * index)) & 0xff);
}
