/**
 * What every chip is: a few ports (or a page of memory), interrupt lines passed in, a state that
 * can be saved by field name. Chips meet only through interrupt lines and the port bus.
 */
export type PortWidth = 8 | 16 | 32;

/** An interrupt line; level is kept by the line, edges are the receiver's business. */
export interface InterruptLine {
  set(asserted: boolean): void;
}

/** A plain value that a snapshot may hold. */
export type StateValue =
  | number
  | bigint
  | boolean
  | string
  | null
  | readonly StateValue[]
  | { readonly [field: string]: StateValue };

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface Device {
  /** Unique, as it appears in `monitor devices` and in snapshots, e.g. `uart16550`. */
  readonly name: string;
  /** The ports it decodes; empty for a chip that has memory only. */
  readonly ports: readonly PortRange[];
  /** Widths beside 8 bits that its ports take whole; without it the bus splits into bytes. */
  readonly portWidths?: readonly PortWidth[];
  /** Reads a port. Wider reads than the chip knows are split into bytes by the port bus. */
  readPort?(port: number, width: PortWidth): number;
  writePort?(port: number, value: number, width: PortWidth): void;
  /** Physical page that it decodes (local APIC); offsets are within that page. */
  readonly page?: number;
  readPage?(offset: number, lengthBytes: number): bigint;
  writePage?(offset: number, lengthBytes: number, value: bigint): void;
  /** Power-on state. All devices are reset together, in the order of the list. */
  reset(): void;
  /** One line for `monitor devices`. */
  describe(): string;
  /** Its registers, a line each, for `monitor info …`; reading them changes nothing. */
  registerLines?(): readonly string[];
  /** Snapshot by field name; `version` changes when the meaning of a field does. */
  readonly version: number;
  save(): { readonly [field: string]: StateValue };
  load(state: { readonly [field: string]: StateValue }): void;
}
