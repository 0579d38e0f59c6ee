/**
 * A complete small emulator, as somebody else might have written it: it knows nothing of debuggers. It
 * executes a dozen instructions of x86-64 (Intel SDM 2) in 4 KiB of memory at 0x1000, so that gdb can
 * disassemble what it runs. No flags but ZF, no interrupts, no paging.
 */

export const MEMORY_START = 0x1000;
export const MEMORY_BYTES = 0x1000;

/** What one instruction did. `fault`: nothing has changed, and it would happen again. */
export type StepEvent =
  | { readonly kind: 'done'; readonly written?: bigint }
  | { readonly kind: 'halted' }
  | { readonly kind: 'fault'; readonly reason: string };

/** Register numbers as instructions encode them. */
export const [RAX, RSP] = [0, 4];

class BadAddress extends Error {
  override readonly name = 'BadAddress';
}

export class TinyCpu {
  readonly memory = new Uint8Array(MEMORY_BYTES);
  /** In the encoding's order: rax rcx rdx rbx rsp rbp rsi rdi. */
  readonly registers = new BigUint64Array(8);
  rip = BigInt(MEMORY_START);
  isZero = false;
  private readonly view = new DataView(this.memory.buffer);
  private readonly program: Uint8Array;

  constructor(program: Uint8Array) {
    this.program = program;
    this.reset();
  }

  reset(): void {
    this.memory.fill(0);
    this.memory.set(this.program);
    this.registers.fill(0n);
    this.registers[RSP] = BigInt(MEMORY_START + MEMORY_BYTES);
    this.rip = BigInt(MEMORY_START);
    this.isZero = false;
  }

  /** Executes the instruction at `rip`. */
  step(): StepEvent {
    try {
      return this.execute(this.offset(this.rip, 1));
    } catch (error) {
      if (!(error instanceof BadAddress)) throw error;
      return { kind: 'fault', reason: error.message };
    }
  }

  private execute(at: number): StepEvent {
    const opcode = this.memory[at]!;
    const isWide = opcode === 0x48;
    switch (isWide ? (opcode << 8) | this.memory[at + 1]! : opcode) {
      case 0x90: // nop
        return this.go(1);
      case 0xf4: // hlt
        return { kind: 'halted' };
      case 0xeb: // jmp rel8
        return this.go(2 + this.view.getInt8(at + 1));
      case 0x75: // jne rel8
        return this.go(2 + (this.isZero ? 0 : this.view.getInt8(at + 1)));
      case 0xe8: // call rel32
        return this.call(at);
      case 0xc3: // ret
        return this.return();
      case 0x4801: // add r64, r64
        return this.arithmetic(at, (left, right) => left + right);
      case 0x4829: // sub r64, r64
        return this.arithmetic(at, (left, right) => left - right);
      case 0x4889: // mov [disp32], r64
        return this.store(at);
    }
    if ((opcode & 0xf8) === 0xb8) return this.loadConstant(at, opcode & 7); // mov r32, imm32
    return { kind: 'fault', reason: `no instruction has the opcode ${opcode.toString(16)}` };
  }

  private go(bytes: number): StepEvent {
    this.rip += BigInt(bytes);
    return { kind: 'done' };
  }

  private loadConstant(at: number, register: number): StepEvent {
    this.registers[register] = BigInt(this.view.getUint32(at + 1, true));
    return this.go(5);
  }

  private arithmetic(at: number, compute: (left: bigint, right: bigint) => bigint): StepEvent {
    const operands = this.memory[at + 2]!;
    const destination = operands & 7;
    const right = this.registers[(operands >> 3) & 7]!;
    this.registers[destination] = compute(this.registers[destination]!, right);
    this.isZero = this.registers[destination] === 0n;
    return this.go(3);
  }

  private store(at: number): StepEvent {
    const address = BigInt(this.view.getUint32(at + 4, true));
    const value = this.registers[(this.memory[at + 2]! >> 3) & 7]!;
    this.view.setBigUint64(this.offset(address, 8), value, true);
    this.go(8);
    return { kind: 'done', written: address };
  }

  private call(at: number): StepEvent {
    const top = this.registers[RSP]! - 8n;
    this.view.setBigUint64(this.offset(top, 8), this.rip + 5n, true);
    this.registers[RSP] = top;
    this.go(5 + this.view.getInt32(at + 1, true));
    return { kind: 'done', written: top };
  }

  private return(): StepEvent {
    const top = this.registers[RSP]!;
    this.rip = this.view.getBigUint64(this.offset(top, 8), true);
    this.registers[RSP] = top + 8n;
    return { kind: 'done' };
  }

  private offset(address: bigint, lengthBytes: number): number {
    const offset = Number(address) - MEMORY_START;
    if (offset >= 0 && offset + lengthBytes <= MEMORY_BYTES) return offset;
    throw new BadAddress(`nothing is at address 0x${address.toString(16)}`);
  }
}
