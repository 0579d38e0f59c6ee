/**
 * The CPU apart from its instructions: its state, what it is wired to, and whether it is halted.
 * The rules of the architecture are in the files beside this one, one topic each.
 */
import type { Clock } from '../clock/virtual-clock.ts';
import type { PortWidth } from '../devices/device.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import type { CpuState } from '../state/fields.ts';

/** The I/O address space, as devices/port-bus.ts implements it. */
export interface PortAccess {
  read(port: number, width: PortWidth): number;
  write(port: number, value: number, width: PortWidth): void;
}

/** What raises the INTR pin: the local APIC or, through it, the two 8259. */
export interface InterruptController {
  hasInterrupt(): boolean;
  /** The INTA cycle: the vector to deliver. */
  acknowledge(): number;
}

export interface CpuParts {
  readonly state: CpuState;
  readonly memory: GuestMemory;
  readonly ports: PortAccess;
  readonly interrupts: InterruptController;
  readonly clock: Clock;
  /** Lines worth a log; the CPU gives each once. */
  readonly note: (text: string) => void;
}

export class Cpu {
  readonly state: CpuState;
  readonly memory: GuestMemory;
  readonly ports: PortAccess;
  readonly interrupts: InterruptController;
  readonly clock: Clock;
  /** HLT has retired and no interrupt has come since. Interrupt delivery clears it. */
  halted = false;
  private readonly noted = new Set<string>();
  private readonly note: (text: string) => void;

  constructor(parts: CpuParts) {
    this.state = parts.state;
    this.memory = parts.memory;
    this.ports = parts.ports;
    this.interrupts = parts.interrupts;
    this.clock = parts.clock;
    this.note = parts.note;
  }

  /** Passes a line on to the log unless it has been there since power-on. */
  noteOnce(text: string): void {
    if (this.noted.has(text)) return;
    this.noted.add(text);
    this.note(text);
  }

  /** Makes the machine look at interrupts, mode and breakpoints after the present instruction. */
  requestExit(): void {
    this.state.exitRequest = 1;
  }
}
