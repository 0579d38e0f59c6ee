/**
 * Random 64-bit programs that run for ever: loops, branches, calls, every kind of integer operation,
 * memory at odd addresses. rbp points to data, rsp to a stack; r15 counts loops.
 */

/** A generator of numbers that the seed decides (xorshift, Marsaglia 2003). */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = (seed * 2654435761 + 1) >>> 0 || 1;
  }

  /** 0 to below − 1. */
  below(limit: number): number {
    let { state } = this;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.state = state >>> 0;
    return this.state % limit;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }
}

const REGISTERS = [0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14];
const DATA_BYTES = 0x3000;

function bytes32(value: number): number[] {
  return [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255];
}

/** Writes instructions; each method appends one. */
class Assembler {
  readonly code: number[] = [];
  private readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  /** reg, reg form with random width: 8 bits by `opcode`, else `opcode` + 1. */
  withRegister(opcode: readonly number[], reg: number, other: number, hasByteForm = true): void {
    const { prefix, rex, isByte } = this.width(hasByteForm);
    const full = 0x40 | rex | ((reg >> 3) << 2) | (other >> 3);
    const modrm = 0xc0 | ((reg & 7) << 3) | (other & 7);
    this.code.push(...prefix, full, ...this.sized(opcode, isByte, hasByteForm), modrm);
  }

  /** reg, [rbp + displacement], perhaps with an index of at most 255. */
  withMemory(opcode: readonly number[], reg: number, hasByteForm = true): void {
    const { prefix, rex, isByte } = this.width(hasByteForm);
    const displacement = this.random.below(DATA_BYTES);
    const sized = this.sized(opcode, isByte, hasByteForm);
    const full = 0x40 | rex | ((reg >> 3) << 2);
    this.code.push(...prefix, full, ...sized, 0x85 | ((reg & 7) << 3), ...bytes32(displacement));
  }

  private sized(opcode: readonly number[], isByte: boolean, hasByteForm: boolean): number[] {
    const last = opcode.at(-1)! + (hasByteForm && !isByte ? 1 : 0);
    return [...opcode.slice(0, -1), last];
  }

  private width(hasByteForm: boolean): { prefix: number[]; rex: number; isByte: boolean } {
    const choice = this.random.below(hasByteForm ? 6 : 5);
    return { prefix: choice === 4 ? [0x66] : [], rex: choice < 2 ? 8 : 0, isByte: choice === 5 };
  }
}

const ALU = [0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x84, 0x86, 0x88];
const ALU_FROM_MEMORY = [0x02, 0x0a, 0x12, 0x1a, 0x22, 0x2a, 0x32, 0x3a, 0x8a];
const TWO_BYTE = [
  [0x0f, 0xaf], [0x0f, 0xb6], [0x0f, 0xb7], [0x0f, 0xbe], [0x0f, 0xbf], [0x0f, 0xa3], [0x0f, 0xab],
  [0x0f, 0xb3], [0x0f, 0xbc], [0x0f, 0xbd],
]; // prettier-ignore

function register(random: Random): number {
  return random.pick(REGISTERS);
}

const MAKERS: readonly ((a: Assembler, random: Random) => void)[] = [
  (a, r) => a.withRegister([r.pick(ALU)], register(r), register(r)),
  (a, r) => a.withRegister([r.pick(ALU)], register(r), register(r)),
  (a, r) => a.withMemory([r.pick(ALU)], register(r)),
  (a, r) => a.withMemory([r.pick(ALU_FROM_MEMORY)], register(r)),
  (a, r) => a.withRegister(r.pick(TWO_BYTE), register(r), register(r), false),
  (a, r) => a.withMemory(r.pick(TWO_BYTE.slice(0, 5)), register(r), false),
  // Group 1 with an immediate byte; shifts by CL and by a number; NOT NEG MUL IMUL; INC DEC.
  (a, r) => {
    a.withRegister([0x83], r.below(8), register(r), false);
    a.code.push(r.below(256));
  },
  (a, r) => a.withRegister([0xd2], r.pick([0, 1, 2, 3, 4, 5, 7]), register(r)),
  (a, r) => {
    a.withRegister([0xc0], r.pick([0, 1, 2, 3, 4, 5, 7]), register(r));
    a.code.push(r.below(70));
  },
  (a, r) => a.withRegister([0xf6], r.pick([2, 3, 4, 5]), register(r)),
  (a, r) => a.withRegister([0xfe], r.below(2), register(r)),
  (a, r) => a.withMemory([0xfe], r.below(2)),
  // SETcc, CMOVcc, XADD, CMPXCHG, SHLD.
  (a, r) => a.withRegister([0x0f, 0x90 + r.below(16)], 0, register(r), false),
  (a, r) => a.withRegister([0x0f, 0x40 + r.below(16)], register(r), register(r), false),
  (a, r) => a.withRegister([0x0f, 0xc0], register(r), register(r)),
  (a, r) => a.withMemory([0x0f, 0xb0], register(r)),
  (a, r) => a.withRegister([0x0f, 0xa5], register(r), register(r), false),
  // LEA reg, [base + index * scale + disp8]; MOV reg, imm32; CLC STC CMC; SAHF LAHF; CWD CBW.
  (a, r) => a.code.push(0x48, 0x8d, 0x44 | (r.below(4) << 3), r.pick([0x08, 0x4b, 0x91]), 0x10),
  (a, r) => a.code.push(0xb8 + r.below(4), ...bytes32(r.below(0xffff_ffff))),
  (a, r) => a.code.push(r.pick([0xf8, 0xf9, 0xf5, 0x9e, 0x9f, 0x99, 0x98, 0x9c])),
  // A division that cannot overflow: or ecx, 1; xor edx, edx; div ecx.
  (a) => a.code.push(0x83, 0xc9, 0x01, 0x31, 0xd2, 0xf7, 0xf1),
  // movd xmm, r32; paddd, pxor, movdqu to and from memory; cvtsi2sd, addsd, ucomisd.
  (a, r) => a.code.push(0x66, 0x0f, 0x6e, 0xc0 | (r.below(8) << 3) | r.below(4)),
  (a, r) =>
    a.code.push(0x66, 0x0f, r.pick([0xfe, 0xef, 0xd4]), 0xc0 | (r.below(8) << 3) | r.below(8)),
  (a, r) =>
    a.code.push(0xf3, 0x0f, r.pick([0x6f, 0x7f]), 0x85 | (r.below(8) << 3), ...bytes32(r.below(DATA_BYTES))), // prettier-ignore
  (a, r) => a.code.push(0xf2, 0x0f, 0x2a, 0xc0 | (r.below(8) << 3) | r.below(4)),
  (a, r) => a.code.push(0xf2, 0x0f, r.pick([0x58, 0x59, 0x5c]), 0xc0 | (r.below(8) << 3) | r.below(8)), // prettier-ignore
  (a, r) => a.code.push(0x66, 0x0f, 0x2e, 0xc0 | (r.below(8) << 3) | r.below(8)),
];

function straight(a: Assembler, random: Random, count: number): void {
  for (let index = 0; index < count; index++) {
    const start = a.code.length;
    random.pick(MAKERS)(a, random);
    // PUSHFQ moves the stack pointer: take what it pushed into r14.
    if (a.code.length === start + 1 && a.code[start] === 0x9c) a.code.push(0x41, 0x5e);
  }
}

/** Jcc over a few instructions. */
function skip(a: Assembler, random: Random): void {
  a.code.push(0x70 + random.below(16), 0);
  const start = a.code.length;
  straight(a, random, 1 + random.below(5));
  a.code[start - 1] = a.code.length - start;
}

/** mov r15d, n; …; dec r15d; jnz */
function loop(a: Assembler, random: Random): void {
  a.code.push(0x41, 0xbf, ...bytes32(2 + random.below(60)));
  const start = a.code.length;
  straight(a, random, 1 + random.below(6));
  if (random.below(2) === 0) skip(a, random);
  straight(a, random, random.below(3));
  a.code.push(0x41, 0xff, 0xcf, 0x0f, 0x85, ...bytes32(start - a.code.length - 9));
}

/** push rax; call over; jmp behind; over: …; ret; behind: pop rax */
function call(a: Assembler, random: Random): void {
  a.code.push(0x50, 0xe8, 5, 0, 0, 0, 0xe9, 0, 0, 0, 0);
  const start = a.code.length;
  straight(a, random, 1 + random.below(4));
  a.code.push(0xc3);
  a.code.splice(start - 4, 4, ...bytes32(a.code.length - start));
  a.code.push(0x58);
}

/** At most about 3000 bytes; the last instruction jumps to the first. */
export function randomProgram(random: Random): Uint8Array {
  const a = new Assembler(random);
  const parts = 4 + random.below(10);
  for (let part = 0; part < parts; part++) {
    random.pick([loop, loop, skip, call, straight.bind(undefined)] as const)(
      a,
      random,
      random.below(4),
    );
  }
  a.code.push(0xe9, ...bytes32(-a.code.length - 5));
  return Uint8Array.from(a.code);
}
