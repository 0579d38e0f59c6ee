/** CLAC and STAC under CR4.SMAP, in code that becomes hot (Intel SDM 3A §4.6, 2A "STAC"). */
import { expect, it } from 'vitest';
import { DATA, USER, bareGuest, openPage, runToHalt } from './bare-guest.ts';

const ROUNDS = 2000;
const RBX_IS_USER = [0xbb, 0x00, 0x00, 0x80, 0x00]; // mov ebx, DATA
/** mov rax, cr4; or eax, 1 << 21; mov cr4, rax */
const SMAP_ON = [0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x00, 0x20, 0x00, 0x0f, 0x22, 0xe0];
const CLAC = [0x0f, 0x01, 0xca];
const STAC = [0x0f, 0x01, 0xcb];
const READ = [0x8a, 0x03]; // mov al, [rbx]
const WRITE = [0x88, 0x03]; // mov [rbx], al
/** inc r8; add rsp, 8; or dword [rsp + 16], 1 << 18; iretq: back with AC set */
const OPEN = [
  0x49, 0xff, 0xc0, 0x48, 0x83, 0xc4, 0x08, 0x81, 0x4c, 0x24, 0x10, 0x00, 0x00, 0x04, 0x00,
  0x48, 0xcf,
]; // prettier-ignore

/** How many page faults ROUNDS rounds of `body` have met, the handler of each setting AC. */
function faultsOf(body: readonly number[]): number {
  const loop = [...body, 0xff, 0xc9]; // …; dec ecx; jnz to the first
  const code = [
    ...[...RBX_IS_USER, ...SMAP_ON, 0x45, 0x31, 0xc0], // xor r8d, r8d
    ...[0xb9, ROUNDS & 0xff, ROUNDS >>> 8, 0x00, 0x00],
    ...[...loop, 0x75, 0x100 - loop.length - 2],
  ];
  const guest = bareGuest({
    code,
    handlers: { 14: OPEN },
    prepare: (machine) => openPage(machine, DATA, USER),
  });
  runToHalt(guest);
  expect(guest.compiledRegions).toBeGreaterThan(0);
  return Number(guest.step.readRegister('r8'));
}

it('STAC opens user pages to the instruction after it', () => {
  expect(faultsOf([...CLAC, ...STAC, ...READ])).toBe(0);
  expect(faultsOf([...CLAC, ...STAC, ...WRITE])).toBe(0);
});

it('CLAC closes user pages to the instruction after it', () => {
  expect(faultsOf([...STAC, ...CLAC, ...READ])).toBe(ROUNDS);
  expect(faultsOf([...STAC, ...CLAC, ...WRITE])).toBe(ROUNDS);
});

it('each counts for the accesses between it and the next', () => {
  expect(faultsOf([...STAC, ...WRITE, ...READ, ...CLAC, ...READ, ...STAC, ...READ])).toBe(ROUNDS);
});
