/**
 * Where #DB comes and where not, as the guest sees it (Intel SDM 3B §17.3, 3A §6.8.3). TF is set by POPF,
 * so that the instruction behind POPF is the first to be followed by a trap.
 */
import { describe, expect, it } from 'vitest';
import { takeDebugTrap } from '../../../machine/cpu/debug-registers.ts';
import { RFLAGS_TF } from '../../../machine/cpu/rflags.ts';
import { USER_RIP, faultText, makeCpu } from './cpu-fixture.ts';
import { DATA, START, bareGuest, runToHalt } from './bare-guest.ts';

const LOG = DATA + 0x1000;
/** What DR6 always says. */
const DR6_ZEROES = 0xffff_0ff0;
const BS = 0x4000;
const BD = 0x2000;

/** Logs rip and DR6 at rbp, clears DR6 and returns with RF set: r9, r10 are its own. */
const LOG_TRAP = [
  ...[0x4c, 0x8b, 0x0c, 0x24, 0x4c, 0x89, 0x4d, 0x00], // mov r9, [rsp]; mov [rbp], r9
  ...[0x41, 0x0f, 0x21, 0xf2, 0x4c, 0x89, 0x55, 0x08], // mov r10, dr6; mov [rbp + 8], r10
  ...[0x48, 0x83, 0xc5, 0x10, 0x45, 0x31, 0xd2, 0x41, 0x0f, 0x23, 0xf2], // add rbp, 16; dr6 := 0
  ...[0x81, 0x4c, 0x24, 0x10, 0x00, 0x00, 0x01, 0x00, 0x48, 0xcf], // or dword [rsp + 16], RF; iretq
];

/** mov eax, ss; pushfq; or dword [rsp], 256; popfq */
const STEP = [0x8c, 0xd0, 0x9c, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9d];
/** pushfq; and dword [rsp], ~256; popfq */
const STOP_STEPPING = [0x9c, 0x81, 0x24, 0x24, 0xff, 0xfe, 0xff, 0xff, 0x9d];
const NOP = 0x90;
const MOV_SS = [0x8e, 0xd0]; // mov ss, eax
const MOV_SS_MEMORY = [0x8e, 0x13]; // mov ss, [rbx]
const INT1 = 0xf1;

interface Trap {
  /** From the beginning of the guest's code. */
  readonly at: number;
  readonly dr6: number;
}

/** All #DB of a guest; handlers other than that of #DB are by vector. */
function trapsOf(
  code: readonly number[],
  handlers: Readonly<Record<number, readonly number[]>> = {},
): Trap[] {
  const guest = bareGuest({
    code,
    handlers: { 1: LOG_TRAP, ...handlers },
    prepare(machine) {
      machine.writeRegister('rbp', BigInt(LOG));
      machine.writeRegister('rbx', BigInt(DATA));
      const stack = Number(machine.readRegister('ss'));
      machine.writePhysical(BigInt(DATA), Uint8Array.of(stack & 0xff, stack >>> 8));
    },
  });
  runToHalt(guest);
  const machine = guest.step;
  expect(Number(machine.readRegister('rflags')) & RFLAGS_TF).toBe(0);
  const length = Number(machine.readRegister('rbp')) - LOG;
  const words = new BigUint64Array(machine.readPhysical(BigInt(LOG), length).slice().buffer);
  return Array.from({ length: length / 16 }, (_, index) => ({
    at: Number(words[2 * index]) - START,
    dr6: Number(words[2 * index + 1]) & ~DR6_ZEROES & 0xffff,
  }));
}

const steps = (...at: number[]): Trap[] => at.map((place) => ({ at: place, dr6: BS }));

it('a single step follows the instruction behind POPF and that which clears TF', () => {
  expect(trapsOf([...STEP, NOP, ...STOP_STEPPING])).toEqual(steps(12, 13, 20, 21));
});

it('no single step follows MOV SS, one follows the instruction behind it', () => {
  const code = [...STEP, ...MOV_SS, NOP, ...STOP_STEPPING];
  expect(trapsOf(code)).toEqual(steps(14, 15, 22, 23));
});

it('STI does not hold single steps back', () => {
  const mask = [0xb0, 0xff, 0xe6, 0x21]; // mov al, 0xff; out 0x21, al: no timer
  const code = [...mask, ...STEP, 0xfb, 0xfa, ...STOP_STEPPING];
  expect(trapsOf(code)).toEqual(steps(16, 17, 18, 25, 26));
});

/** mov rax, imm; mov drN, rax */
function setDebugRegister(number: number, value: number): number[] {
  const low = [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
  return [0xb8, ...low, 0x0f, 0x23, 0xc0 | (number << 3)];
}

/** DR0 watches reads and writes of two bytes at DATA. */
const WATCH = [...setDebugRegister(0, DATA), ...setDebugRegister(7, 0x7_0401)];
const BEHIND = WATCH.length + MOV_SS_MEMORY.length;
const HALT = [0xf4];

it('what the operand of MOV SS hits is told behind the next instruction', () => {
  const traps = trapsOf([...WATCH, ...MOV_SS_MEMORY, NOP, NOP]);
  expect(traps).toEqual([{ at: BEHIND + 1, dr6: 1 }]);
});

it('what MOV SS has hit is told at the first instruction of the handler that INT 3 enters', () => {
  const [trap, ...others] = trapsOf([...WATCH, ...MOV_SS_MEMORY, 0xcc], { 3: [0x48, 0xcf] });
  expect(trap?.at).toBeGreaterThan(0x10_0000 - 1);
  expect([trap?.dr6, others]).toEqual([1, []]);
});

it('INT1 behind MOV SS tells of what it has hit, in one #DB', () => {
  const traps = trapsOf([...WATCH, ...MOV_SS_MEMORY, INT1, NOP]);
  expect(traps).toEqual([{ at: BEHIND + 1, dr6: 1 }]);
});

it('what MOV SS has hit is lost if the next instruction faults', () => {
  expect(trapsOf([...WATCH, ...MOV_SS_MEMORY, 0x0f, 0x0b], { 6: HALT })).toEqual([]);
});

/** DR0 and DR7 ask for #DB before the instruction at `place`, from the beginning of the code. */
const breakAt = (place: number): number[] => [
  ...setDebugRegister(0, START + place),
  ...setDebugRegister(7, 0x401),
  ...[0x8c, 0xd0], // mov eax, ss
];
const ARMED = breakAt(0).length;

it('an instruction breakpoint behind MOV SS is not there', () => {
  expect(trapsOf([...breakAt(ARMED + 2), NOP, NOP, NOP])).toEqual([{ at: ARMED + 2, dr6: 1 }]);
  expect(trapsOf([...breakAt(ARMED + 2), ...MOV_SS, NOP])).toEqual([]);
  expect(trapsOf([...breakAt(ARMED + 3), ...MOV_SS, NOP, NOP])).toEqual([
    { at: ARMED + 3, dr6: 1 },
  ]);
});

/** mov ecx, ss; mov rdx, rsp; push rcx, rdx, 1 << 16 | 2; mov ecx, cs; push rcx; push place; iretq */
function returnWithResumeFlag(place: number): number[] {
  const [low, middle, high] = [place & 0xff, (place >>> 8) & 0xff, place >>> 16];
  return [
    ...[0x8c, 0xd1, 0x48, 0x89, 0xe2, 0x51, 0x52, 0x68, 0x02, 0x00, 0x01, 0x00, 0x8c, 0xc9, 0x51],
    ...[0x68, low, middle, high, 0x00, 0x48, 0xcf],
  ];
}
const RETURNED = ARMED + returnWithResumeFlag(0).length;

it('RF passes the breakpoint where IRET goes, and none further on', () => {
  const back = returnWithResumeFlag(START + RETURNED);
  expect(trapsOf([...breakAt(RETURNED), ...back, NOP, NOP])).toEqual([]);
  const next = { at: RETURNED + 1, dr6: 1 };
  expect(trapsOf([...breakAt(RETURNED + 1), ...back, NOP, NOP])).toEqual([next]);
});

it('DR7.GD makes #DB of MOV DR behind MOV SS, without the single step', () => {
  const arm = setDebugRegister(7, 0x2400);
  const code = [...arm, ...STEP, ...MOV_SS, 0x0f, 0x21, 0xf1, ...STOP_STEPPING]; // mov rcx, dr6
  const at = arm.length + STEP.length + 2;
  const [first, second] = trapsOf(code);
  expect([first, second]).toEqual([{ at, dr6: BD }, { at: at + 3, dr6: BS }]); // prettier-ignore
});

describe('single steps', () => {
  it('do not follow INT n and INT1, in the handler or at the return', () => {
    const back = { 3: [0x48, 0xcf] };
    expect(trapsOf([...STEP, 0xcd, 0x03, ...STOP_STEPPING], back)).toEqual(steps(14, 21, 22));
    const [trap, ...others] = trapsOf([...STEP, INT1, ...STOP_STEPPING]);
    expect([trap, others]).toEqual([{ at: 12, dr6: 0 }, steps(13, 20, 21)]);
  });
});

/** mov ecx, number; mov eax, low; mov edx, high; wrmsr */
function setMsr(number: number, high: number, low: number): number[] {
  const bytes = (value: number): number[] => [0, 8, 16, 24].map((bit) => (value >>> bit) & 0xff);
  return [0xb9, ...bytes(number), 0xb8, ...bytes(low), 0xba, ...bytes(high), 0x0f, 0x30];
}

describe('SYSCALL under TF', () => {
  const SYSCALL = [0x0f, 0x05];
  /** The SYSCALL's target is behind it. */
  function throughSyscall(mask: number): { readonly traps: readonly Trap[]; readonly end: number } {
    const setup = (target: number): number[] => [
      ...setMsr(0xc000_0080, 0, 0x501), // EFER: LMA, LME, SCE
      ...setMsr(0xc000_0081, 8, 0), // STAR
      ...setMsr(0xc000_0082, 0, START + target), // LSTAR
      ...setMsr(0xc000_0084, 0, mask), // FMASK
    ];
    const end = setup(0).length + STEP.length + SYSCALL.length;
    return { traps: trapsOf([...setup(end), ...STEP, ...SYSCALL, NOP, ...STOP_STEPPING]), end };
  }

  it('is followed by a single step if the mask leaves TF', () => {
    const { traps, end } = throughSyscall(0);
    expect(traps).toEqual(steps(end, end + 1, end + 2, end + 9, end + 10));
  });

  it('is followed by none if the mask clears TF', () => {
    expect(throughSyscall(RFLAGS_TF).traps).toEqual([]);
  });
});

it('SYSRET that sets TF is followed by a single step at once', () => {
  const fixture = makeCpu();
  const { cpu, state } = fixture;
  state.efer |= 1n;
  state.rcx = USER_RIP;
  state.r11 = BigInt(RFLAGS_TF);
  fixture.callOperation('sysret', 64n);
  expect(faultText(takeDebugTrap(cpu, false))).toBe('#1');
  state.r11 = 0n;
  fixture.callOperation('sysret', 64n);
  expect(takeDebugTrap(cpu, true)).toBeUndefined();
});
