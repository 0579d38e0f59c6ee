/**
 * The CPU apart from its instructions: its state, what it is wired to, and whether it is halted.
 * The rules of the architecture are in the files beside this one, one topic each.
 */
import type { Clock } from '../clock/virtual-clock.ts';
import type { PortWidth } from '../devices/device.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { Notes } from '../notes.ts';
import type { CpuState } from '../state/fields.ts';
import { TransferWatch } from './transfer-watch.ts';
import { RFLAGS_AC, RFLAGS_IF, RFLAGS_RF, RFLAGS_TF, readRflags, writeRflags } from './rflags.ts';

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

/** What CR8 and MSRs reach of the local APIC (devices/local-apic.ts). */
export interface ApicAccess {
  /** TPR, 8 bits. */
  taskPriority: number;
  /** IA32_APIC_BASE bit 11. */
  setGloballyEnabled(isEnabled: boolean): void;
  readonly tscDeadlineTimer: {
    readonly tscDeadline: bigint;
    /** `dueAt`: the virtual tick at which the TSC reaches `value`. */
    setTscDeadline(value: bigint, dueAt: bigint): void;
  };
}

export interface CpuParts {
  readonly state: CpuState;
  readonly memory: GuestMemory;
  readonly ports: PortAccess;
  readonly interrupts: InterruptController;
  readonly clock: Clock;
  /** Without it CR8 is a mere register and the APIC's MSRs have no effect. */
  readonly apic?: ApicAccess;
  /** Lines worth a log; the CPU gives each once. */
  readonly note: (text: string) => void;
}

export class Cpu {
  readonly state: CpuState;
  readonly memory: GuestMemory;
  readonly ports: PortAccess;
  readonly interrupts: InterruptController;
  readonly clock: Clock;
  readonly apic: ApicAccess | undefined;
  /** HLT has retired and no interrupt has come since. Interrupt delivery clears it. */
  halted = false;
  /** Can INVLPG of this address, in halves, change what code there is? The engine knows. */
  mayChangeCode: (linearLow: number, linearHigh: number) => boolean = () => true;
  /**
   * Whether the present instruction is followed by the #DB of a single step, from one with rules of its
   * own; undefined: RFLAGS.TF as it was before the instruction decides.
   */
  singleStepTrap: boolean | undefined;
  /** What the debugger wants to hear of. */
  readonly watch = new TransferWatch();
  private readonly notes: Notes;

  constructor(parts: CpuParts) {
    this.state = parts.state;
    this.memory = parts.memory;
    this.ports = parts.ports;
    this.interrupts = parts.interrupts;
    this.clock = parts.clock;
    this.apic = parts.apic;
    this.notes = new Notes(parts.note);
  }

  /** Passes a line on to the log unless it has been there since power-on. */
  noteOnce(text: string): void {
    this.notes.once(text);
  }

  /** Changes CPL, on which translation and the execution mode depend. */
  setPrivilegeLevel(cpl: number): void {
    this.state.cpl = cpl;
    this.memory.updateTlbContext();
    this.requestExit();
  }

  /** Replaces RFLAGS; looks at interrupts if one may have become deliverable. */
  setRflags(value: number): void {
    const isAccessChange = ((readRflags(this.state) ^ value) & RFLAGS_AC) !== 0;
    writeRflags(this.state, value);
    if (isAccessChange) this.memory.updateTlbContext();
    const isDeliverable = (value & RFLAGS_IF) !== 0 && this.interrupts.hasInterrupt();
    if (isDeliverable || (value & (RFLAGS_TF | RFLAGS_RF)) !== 0) this.requestExit();
  }

  /** Linear addresses may have come to mean other code or data: CR3, INVLPG and the paging bits. */
  mappingChanged(): void {
    this.memory.flushTlb();
    this.memory.updateTlbContext();
    this.state.mapGeneration = (this.state.mapGeneration + 1) >>> 0;
    this.requestExit();
  }

  /** Makes the machine look at interrupts, mode and breakpoints after the present instruction. */
  requestExit(): void {
    this.state.exitRequest = 1;
  }
}
