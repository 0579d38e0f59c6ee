/**
 * The one list of chips: it builds them, gives each what it needs and wires the interrupt lines. A
 * new device is a file beside this one and a line in the list.
 */
import type { Clock } from '../clock/virtual-clock.ts';
import { AcpiPower, SCI_IRQ } from './acpi-power.ts';
import { DebugExit } from './debug-exit.ts';
import type { Device, InterruptLine } from './device.ts';
import { Hpet } from './hpet.ts';
import { InterruptController } from './interrupt-controller.ts';
import { lineTo } from './interrupt-lines.ts';
import { IoApic } from './io-apic.ts';
import { KeyboardController8042 } from './keyboard-controller-8042.ts';
import { LocalApic } from './local-apic.ts';
import { PciHost } from './pci-host.ts';
import { Pic8259 } from './pic8259.ts';
import { Pit8254 } from './pit8254.ts';
import { PortBus } from './port-bus.ts';
import { PostCode } from './post-code.ts';
import { RtcCmos } from './rtc-cmos.ts';
import { SystemControl } from './system-control.ts';
import { Uart16550 } from './uart16550.ts';
import { VgaText } from './vga-text.ts';

export interface DeviceEnvironment {
  readonly clock: Clock;
  readonly memoryBytes: number;
  /** The RTC's date at tick 0, in seconds since 1970; 2026-01-01 when absent. */
  readonly epochSeconds?: bigint;
  /** A byte leaves COM1, at the instruction that writes it. */
  readonly onSerialOutput: (byte: number) => void;
  /** The guest wrote `value` to the debug-exit port. */
  readonly onDebugExit: (value: number) => void;
  /** The 8042, port 0x92 or port 0xcf9 asks for a reset. */
  readonly onResetRequest: () => void;
  /** The guest switches the PC off, by ACPI. */
  readonly onPowerOff: () => void;
  /** One line, once, for each unknown port or register. */
  readonly onNote: (text: string) => void;
}

export interface DeviceList {
  /** In the order in which they are reset, saved and loaded; interrupt controllers come first. */
  readonly devices: readonly Device[];
  readonly portBus: PortBus;
  /** Devices that decode a physical page, by its address. */
  readonly pages: ReadonlyMap<number, Device>;
  readonly interruptController: InterruptController;
  readonly uart: Uart16550;
  readonly localApic: LocalApic;
}

/** Builds all chips and brings them to their power-on state. */
export function createDevices(environment: DeviceEnvironment): DeviceList {
  const { clock, memoryBytes, epochSeconds, onResetRequest, onNote } = environment;
  const localApic = new LocalApic(clock, onNote, (vector) => ioApic.endInterrupt(vector));
  const ioApic = new IoApic((message) => localApic.receive(message), onNote);
  const pic = new Pic8259(localApic.lint0);
  // Both see every IRQ; IRQ 0 is input 2 of the I/O APIC (the MADT says so), as on QEMU.
  const line = (irq: number): InterruptLine => {
    const [legacy, redirected] = [pic.line(irq), ioApic.line(irq === 0 ? 2 : irq)];
    return lineTo((asserted) => {
      legacy.set(asserted);
      redirected.set(asserted);
    });
  };
  const routes = [16, 17, 18, 19, 20, 21, 22, 23].map((input) => ioApic.line(input));
  const hpet = new Hpet(clock, { legacy: [line(0), line(8)], routes }, onNote);
  const uart = new Uart16550(clock, line(4), environment.onSerialOutput);
  const devices: readonly Device[] = [
    localApic,
    ioApic,
    pic,
    hpet,
    new Pit8254(clock, hpet.replacedLine(0)),
    new KeyboardController8042(line(1), onResetRequest),
    uart,
    new RtcCmos(clock, hpet.replacedLine(1), memoryBytes, epochSeconds),
    new SystemControl(onResetRequest),
    new DebugExit(environment.onDebugExit),
    new PostCode(),
    new PciHost(),
    new VgaText(clock),
    new AcpiPower(clock, line(SCI_IRQ), environment.onPowerOff, onNote),
  ];
  const portBus = new PortBus(onNote);
  const pages = new Map<number, Device>();
  for (const device of devices) {
    portBus.add(device);
    if (device.page !== undefined) pages.set(device.page, device);
    device.reset();
  }
  const interruptController = new InterruptController(pic, localApic);
  return { devices, portBus, pages, interruptController, uart, localApic };
}
