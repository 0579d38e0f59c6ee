/** An IDT for guests in long mode whose memory is mapped one to one. */
import type { Machine } from '../../../machine/index.ts';

const IDT_REGISTER = 0x3f_0000;
const IDT = 0x3f_1000;
const VECTORS = 64;

/** lidt [IDT_REGISTER] */
export const LIDT = [0x0f, 0x01, 0x1c, 0x25, 0x00, 0x00, 0x3f, 0x00];

/** Interrupt gates of `vectors` to `handler`, for LIDT to load (Intel SDM 3A §6.14.1). */
export function putGates(machine: Machine, vectors: readonly number[], handler: number): void {
  const gate = new DataView(new ArrayBuffer(16));
  gate.setUint16(0, handler & 0xffff, true);
  gate.setUint16(2, Number(machine.readRegister('cs')), true);
  gate.setUint16(4, 0x8e00, true);
  gate.setUint16(6, handler >>> 16, true);
  for (const vector of vectors) {
    machine.writePhysical(BigInt(IDT + 16 * vector), new Uint8Array(gate.buffer));
  }
  const register = new DataView(new ArrayBuffer(10));
  register.setUint16(0, 16 * VECTORS - 1, true);
  register.setUint32(2, IDT, true);
  machine.writePhysical(BigInt(IDT_REGISTER), new Uint8Array(register.buffer));
}
