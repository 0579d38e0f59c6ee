/**
 * The ACPI fixed hardware of the chip set (ACPI 6.5 §4.8.3): the PM1a event and control registers and
 * the power management timer, where QEMU has them: from port 0x600 on. The control register is also at
 * 0xb004, as on Bochs. Kernels switch the machine off by writing SLP_EN with the sleep type of S5, which
 * is 0 in the DSDT (boot/acpi/dsdt.ts); there are no other sleep states.
 *
 *     0x600  PM1_STS   0x602  PM1_EN   0x604  PM1_CNT   0x608  PM_TMR (24 bits)
 *
 * The machine is always in ACPI mode: there is no SMI command port, and SCI_EN reads as 1 (§4.8.3.2.1).
 * The timer's overflow is the only fixed event; buttons and wake-up do not exist.
 */
import type { Clock } from '../clock/virtual-clock.ts';
import { TICKS_PER_SECOND } from '../clock/virtual-clock.ts';
import type { DeviceState } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';
import type { Device, InterruptLine } from './device.ts';
import { noteOnce } from './note-once.ts';

export const PM1_EVENT_PORT = 0x600;
export const PM1_CONTROL_PORT = 0x604;
export const PM_TIMER_PORT = 0x608;
/** The interrupt request of all ACPI events; level-triggered. */
export const SCI_IRQ = 9;
/** SLP_TYP of S5, soft off. */
export const SLEEP_TYPE_OFF = 0;

const BOCHS_CONTROL_PORT = 0xb004;
/** Three times the colour burst: 3.579545 MHz. */
const PM_TIMER_HZ = 3_579_545n;
/** The 24-bit counter's top bit changes after so many clocks. */
const HALF_PERIOD = 1n << 23n;

const TMR_STS = 0x0001;
/** TMR_EN, GBL_EN, PWRBTN_EN, SLPBTN_EN and RTC_EN can be set. */
const ENABLE_WRITABLE = 0x0721;
const TMR_EN = 0x0001;
const SCI_EN = 0x0001;
/** BM_RLD and SLP_TYP are stored; GBL_RLS and SLP_EN read as 0. */
const CONTROL_WRITABLE = 0x1c02;
const SLP_TYP_SHIFT = 10;
const SLP_EN = 0x2000;

const EVENT = 'acpi-pm-timer';

function powerOnState() {
  return {
    enable: 0,
    control: 0,
    /** The half period of the timer in which TMR_STS was cleared: in a later one it is set. */
    clearedIn: 0n,
  };
}

export class AcpiPower implements Device {
  readonly name = 'acpi-power';
  readonly version = 1;
  readonly ports = [
    { first: PM1_EVENT_PORT, last: PM1_CONTROL_PORT + 1 },
    { first: PM_TIMER_PORT, last: PM_TIMER_PORT + 3 },
    { first: BOCHS_CONTROL_PORT, last: BOCHS_CONTROL_PORT + 1 },
  ];
  private readonly clock: Clock;
  private readonly sci: InterruptLine;
  private readonly powerOff: () => void;
  private readonly note: (text: string) => void;
  private state = powerOnState();

  /** `powerOff` is called at the instruction that writes; `note` hears once of other sleep types. */
  constructor(
    clock: Clock,
    sci: InterruptLine,
    powerOff: () => void,
    note: (text: string) => void = () => undefined,
  ) {
    this.clock = clock;
    this.sci = sci;
    this.powerOff = powerOff;
    this.note = noteOnce(note);
  }

  /** All registers are read byte by byte; the bus puts wider reads together. */
  readPort(port: number): number {
    if (port >= PM_TIMER_PORT && port < PM_TIMER_PORT + 4) {
      return (this.timerCount() >> (8 * (port - PM_TIMER_PORT))) & 0xff;
    }
    const offset = registerOffset(port);
    const words = [this.status(), this.state.enable, this.state.control | SCI_EN];
    return ((words[offset >> 1] ?? 0) >> (8 * (offset & 1))) & 0xff;
  }

  writePort(port: number, value: number): void {
    const { state } = this;
    const offset = registerOffset(port);
    const shift = 8 * (offset & 1);
    const written = value << shift;
    if (offset < 2) this.clearStatus(written);
    else if (offset < 4) {
      state.enable = ((state.enable & ~(0xff << shift)) | written) & ENABLE_WRITABLE;
      this.followTimer();
    } else if (offset < 6) {
      state.control = ((state.control & ~(0xff << shift)) | written) & CONTROL_WRITABLE;
      if ((written & SLP_EN) !== 0) this.sleep((state.control >> SLP_TYP_SHIFT) & 7);
    }
  }

  reset(): void {
    this.state = powerOnState();
    this.state.clearedIn = this.halfPeriod();
    this.followTimer();
  }

  describe(): string {
    const { enable, control } = this.state;
    const hex = (value: number): string => value.toString(16).padStart(4, '0');
    const words = `sts=${hex(this.status())} en=${hex(enable)} cnt=${hex(control | SCI_EN)}`;
    return `PM1 ${words}; timer ${this.timerCount()}`;
  }

  save(): DeviceState {
    return copyState(this.state);
  }

  load(saved: DeviceState): void {
    this.state = restoreState(this.name, powerOnState(), saved);
    this.armTimer();
  }

  private timerClocks(): bigint {
    return (this.clock.now() * PM_TIMER_HZ) / TICKS_PER_SECOND;
  }

  private timerCount(): number {
    return Number(this.timerClocks() & 0xff_ffffn);
  }

  private halfPeriod(): bigint {
    return this.timerClocks() / HALF_PERIOD;
  }

  private status(): number {
    return this.halfPeriod() > this.state.clearedIn ? TMR_STS : 0;
  }

  private clearStatus(written: number): void {
    if ((written & TMR_STS) === 0) return;
    this.state.clearedIn = this.halfPeriod();
    this.followTimer();
  }

  /** The SCI is high while an enabled event's status is set. */
  private followTimer(): void {
    this.sci.set((this.status() & this.state.enable & TMR_EN) !== 0);
    this.armTimer();
  }

  /** The top bit's next change matters only while its interrupt is enabled and has not come. */
  private armTimer(): void {
    const isWanted = (this.state.enable & TMR_EN) !== 0 && this.status() === 0;
    if (!isWanted) {
      this.clock.cancel(EVENT);
      return;
    }
    const clocks = (this.state.clearedIn + 1n) * HALF_PERIOD;
    const at = (clocks * TICKS_PER_SECOND + PM_TIMER_HZ - 1n) / PM_TIMER_HZ;
    this.clock.schedule(EVENT, at, () => this.followTimer());
  }

  private sleep(type: number): void {
    if (type === SLEEP_TYPE_OFF) this.powerOff();
    else this.note(`ACPI: there is no sleep state of type ${type}, only 0, S5`);
  }
}

/** Where a port lies in the PM1a block. */
function registerOffset(port: number): number {
  const base = port < BOCHS_CONTROL_PORT ? PM1_EVENT_PORT : BOCHS_CONTROL_PORT - 4;
  return port - base;
}
