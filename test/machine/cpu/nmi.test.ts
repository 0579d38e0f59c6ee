/** NMIs from the local APIC to itself, one while the handler of another runs (Intel SDM 3A §6.7.1). */
import { expect, it } from 'vitest';
import { START, bareGuest, mapLargePage, runToHalt } from './bare-guest.ts';

const APIC = 0xc0_0000;
const RBX_IS_APIC = [0xbb, 0x00, 0x00, 0xc0, 0x00]; // mov ebx, APIC
/** mov dword [rbx + 0x300], 0x4400: an NMI to APIC 0 */
const SEND_NMI = [0xc7, 0x83, 0x00, 0x03, 0x00, 0x00, 0x00, 0x44, 0x00, 0x00];
const NOP = 0x90;
const SENT = START + RBX_IS_APIC.length + SEND_NMI.length;

/** Counts in r8, keeps the return address in r11; the first time it sends another and then sets r10 to r8. */
const HANDLER = (leave: readonly number[]): number[] => [
  ...[0x4c, 0x8b, 0x1c, 0x24, 0x49, 0xff, 0xc0], // mov r11, [rsp]; inc r8
  ...[0x49, 0x83, 0xf8, 0x01, 0x75, SEND_NMI.length + 5], // cmp r8, 1; jne
  ...[...SEND_NMI, NOP, NOP, 0x4d, 0x89, 0xc2], // …; mov r10, r8
  ...leave,
];

function countOf(leave: readonly number[]): { within: number; in: number; at: number } {
  const guest = bareGuest({
    code: [...RBX_IS_APIC, ...SEND_NMI, NOP, NOP, NOP],
    handlers: { 2: HANDLER(leave) },
    prepare(machine) {
      mapLargePage(machine, APIC, 0xfee0_0000n);
      for (const name of ['r8', 'r10', 'r11']) machine.writeRegister(name, 0n);
    },
  });
  runToHalt(guest);
  const read = (name: string): number => Number(guest.step.readRegister(name));
  return { within: read('r10'), in: read('r8'), at: read('r11') };
}

it('an NMI waits until the handler of the one before returns, and comes at once then', () => {
  expect(countOf([0x48, 0xcf])).toEqual({ within: 1, in: 2, at: SENT }); // iretq
});

it('an NMI goes on to wait if the handler leaves without IRET', () => {
  // mov rsp, [rsp + 24]; jmp r11
  expect(countOf([0x48, 0x8b, 0x64, 0x24, 0x18, 0x41, 0xff, 0xe3])).toMatchObject({ in: 1 });
});
