/**
 * The pair of 8259A interrupt controllers of a PC (Intel 8259A datasheet; ELCR as in the PIIX):
 * the slave's INT is the master's IR2. Poll mode, rotation, special mask, special fully nested mode
 * and automatic EOI are there. LTIM of ICW1 is ignored, since a PC has ELCR instead, and so are the
 * 8080 modes and buffered mode.
 *
 * In edge mode a request stays in IRR when its line falls before the acknowledge, as in QEMU and
 * KVM; the chip itself would then answer with the spurious level 7.
 *
 * Power-on is what PC firmware leaves: vectors 0x08 and 0x70, masks 0xb8 and 0x8e. So a kernel that
 * executes STI without programming the chips is hit by the timer at vector 8, as on a PC.
 */
import type { DeviceState } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';
import type { Device, InterruptLine } from './device.ts';
import { lineTo } from './interrupt-lines.ts';

const MASTER_COMMAND = 0x20;
const MASTER_DATA = 0x21;
const SLAVE_COMMAND = 0xa0;
const SLAVE_DATA = 0xa1;
const MASTER_ELCR = 0x4d0;
const SLAVE_ELCR = 0x4d1;
/** IRQ 0–2, 8 and 13 are edge-triggered by nature (82371AB datasheet §4.3.3). */
const ELCR_WRITABLE_MASTER = 0xf8;
const ELCR_WRITABLE_SLAVE = 0xde;

const ICW1_IC4 = 0x01;
const ICW1_SNGL = 0x02;
const ICW1 = 0x10;
const ICW4_AEOI = 0x02;
const ICW4_SFNM = 0x10;
const OCW3 = 0x08;
const OCW3_POLL = 0x04;
const OCW3_RR = 0x02;
const OCW3_RIS = 0x01;
const OCW3_ESMM = 0x40;
const OCW3_SMM = 0x20;
/** OCW2 bits 7–5. */
const OCW2_ROTATE_IN_AEOI_CLEAR = 0;
const OCW2_NON_SPECIFIC_EOI = 1;
const OCW2_SPECIFIC_EOI = 3;
const OCW2_ROTATE_IN_AEOI_SET = 4;
const OCW2_ROTATE_ON_NON_SPECIFIC_EOI = 5;
const OCW2_SET_PRIORITY = 6;
const OCW2_ROTATE_ON_SPECIFIC_EOI = 7;

const CASCADE_IRQ = 2;
const SPURIOUS_LEVEL = 7;
/** The byte that poll mode reads when there is a request. */
const POLL_INTERRUPT = 0x80;

function powerOnChip(vectorBase: number, mask: number, cascadeInputs: number) {
  return {
    /** Inputs to which another chip's INT is wired: bit 2 of the master. */
    cascadeInputs,
    /** Levels of the eight inputs. */
    lines: 0,
    irr: 0,
    isr: 0,
    imr: mask,
    elcr: 0,
    vectorBase,
    /** The initialization word that the data port expects next; 0 when initialized. */
    nextIcw: 0,
    icw1: ICW1_IC4,
    isAutoEoi: false,
    isSpecialFullyNested: false,
    isRotatingInAutoEoi: false,
    isSpecialMask: false,
    /** The level of lowest priority; the next one has the highest. */
    lowestPriority: 7,
    isReadingIsr: false,
    isPolled: false,
  };
}

type Chip = ReturnType<typeof powerOnChip>;

function powerOnState() {
  return { master: powerOnChip(0x08, 0xb8, 1 << CASCADE_IRQ), slave: powerOnChip(0x70, 0x8e, 0) };
}

export class Pic8259 implements Device {
  readonly name = 'pic8259';
  readonly version = 1;
  readonly ports = [
    { first: MASTER_COMMAND, last: MASTER_DATA },
    { first: SLAVE_COMMAND, last: SLAVE_DATA },
    { first: MASTER_ELCR, last: SLAVE_ELCR },
  ];
  private readonly output: InterruptLine;
  private state = powerOnState();

  /** `output` is the master's INT pin. */
  constructor(output: InterruptLine) {
    this.output = output;
  }

  /** The input of IRQ 0–15, except 2, which is the cascade. */
  line(irq: number): InterruptLine {
    if (irq === CASCADE_IRQ || irq < 0 || irq > 15) throw new RangeError(`no input IRQ ${irq}`);
    return lineTo((asserted) => {
      const chip = irq < 8 ? this.state.master : this.state.slave;
      const isHigh = (chip.lines & (1 << (irq & 7))) !== 0;
      // The UART sets its line with every byte that it sends: an unchanged level is the usual case.
      if (asserted === isHigh) return;
      setLine(chip, irq & 7, asserted);
      this.update();
    });
  }

  /** Level of the master's INT pin. */
  hasInterrupt(): boolean {
    return pendingLevel(this.state.master) !== undefined;
  }

  /**
   * Both INTA cycles: the request moves from IRR to ISR and its vector is returned; without a
   * request the spurious one, IRQ 7 or 15, which sets no ISR bit on the chip concerned.
   */
  acknowledge(): number {
    const { master, slave } = this.state;
    const level = pendingLevel(master);
    if (level === undefined) return master.vectorBase + SPURIOUS_LEVEL;
    acknowledgeLevel(master, level);
    const vector = level === CASCADE_IRQ ? this.acknowledgeSlave() : master.vectorBase + level;
    // INT of the slave falls with the acknowledge: what is still pending makes a new edge.
    if (level === CASCADE_IRQ) setLine(master, CASCADE_IRQ, false);
    setLine(master, CASCADE_IRQ, pendingLevel(slave) !== undefined);
    this.update();
    return vector;
  }

  readPort(port: number): number {
    const { master, slave } = this.state;
    switch (port) {
      case MASTER_ELCR:
        return master.elcr;
      case SLAVE_ELCR:
        return slave.elcr;
      case MASTER_COMMAND:
      case MASTER_DATA:
        return this.readChip(master, port === MASTER_DATA);
      default:
        return this.readChip(slave, port === SLAVE_DATA);
    }
  }

  writePort(port: number, value: number): void {
    const { master, slave } = this.state;
    switch (port) {
      case MASTER_ELCR:
        setTrigger(master, value & ELCR_WRITABLE_MASTER);
        break;
      case SLAVE_ELCR:
        setTrigger(slave, value & ELCR_WRITABLE_SLAVE);
        break;
      case MASTER_COMMAND:
        writeCommand(master, value);
        break;
      case MASTER_DATA:
        writeData(master, value);
        break;
      case SLAVE_COMMAND:
        writeCommand(slave, value);
        break;
      default:
        writeData(slave, value);
    }
    this.update();
  }

  /** Input levels are forgotten: the other chips, reset after this one, drive their lines again. */
  reset(): void {
    this.state = powerOnState();
    this.update();
  }

  describe(): string {
    return `master ${describeChip(this.state.master)}; slave ${describeChip(this.state.slave)}`;
  }

  registerLines(): readonly string[] {
    const { master, slave } = this.state;
    return [
      ...chipLines('master', 0, master),
      ...chipLines('slave', 8, slave),
      `INT to the CPU: ${this.hasInterrupt() ? 'asserted' : 'quiet'}`,
    ];
  }

  save(): DeviceState {
    return copyState(this.state);
  }

  load(saved: DeviceState): void {
    this.state = restoreState(this.name, powerOnState(), saved);
  }

  private acknowledgeSlave(): number {
    const { slave } = this.state;
    const level = pendingLevel(slave);
    if (level === undefined) return slave.vectorBase + SPURIOUS_LEVEL;
    acknowledgeLevel(slave, level);
    return slave.vectorBase + level;
  }

  private readChip(chip: Chip, isData: boolean): number {
    if (chip.isPolled) {
      chip.isPolled = false;
      const level = pendingLevel(chip);
      if (level === undefined) return 0;
      acknowledgeLevel(chip, level);
      this.update();
      return POLL_INTERRUPT | level;
    }
    if (isData) return chip.imr;
    return chip.isReadingIsr ? chip.isr : chip.irr;
  }

  private update(): void {
    const { master, slave } = this.state;
    setLine(master, CASCADE_IRQ, pendingLevel(slave) !== undefined);
    this.output.set(pendingLevel(master) !== undefined);
  }
}

function setLine(chip: Chip, level: number, asserted: boolean): void {
  const bit = 1 << level;
  const isEdge = (chip.elcr & bit) === 0;
  if (asserted) {
    if (!isEdge || (chip.lines & bit) === 0) chip.irr |= bit;
    chip.lines |= bit;
  } else {
    if (!isEdge) chip.irr &= ~bit;
    chip.lines &= ~bit;
  }
}

function setTrigger(chip: Chip, elcr: number): void {
  chip.elcr = elcr;
  chip.irr = (chip.irr & ~elcr) | (chip.lines & elcr);
}

/** The level whose request may be served now: the highest in priority that nothing blocks. */
function pendingLevel(chip: Chip): number | undefined {
  const requests = chip.irr & ~chip.imr;
  if (requests === 0) return undefined;
  let blocking = chip.isr;
  if (chip.isSpecialMask) blocking &= ~chip.imr;
  if (chip.isSpecialFullyNested) blocking &= ~chip.cascadeInputs;
  for (let rank = 1; rank <= 8; rank++) {
    const level = (chip.lowestPriority + rank) & 7;
    if ((blocking & (1 << level)) !== 0) return undefined;
    if ((requests & (1 << level)) !== 0) return level;
  }
  return undefined;
}

function acknowledgeLevel(chip: Chip, level: number): void {
  const bit = 1 << level;
  if ((chip.elcr & bit) === 0) chip.irr &= ~bit;
  if (!chip.isAutoEoi) chip.isr |= bit;
  else if (chip.isRotatingInAutoEoi) chip.lowestPriority = level;
}

function writeCommand(chip: Chip, value: number): void {
  if ((value & ICW1) !== 0) beginInitialization(chip, value);
  else if ((value & OCW3) !== 0) writeOcw3(chip, value);
  else writeOcw2(chip, value >> 5, value & 7);
}

function beginInitialization(chip: Chip, icw1: number): void {
  chip.icw1 = icw1;
  chip.nextIcw = 2;
  // The edge sense circuit is reset: a line that is high must fall and rise to be seen.
  chip.irr &= chip.elcr;
  chip.isr = 0;
  chip.imr = 0;
  chip.lowestPriority = 7;
  chip.isSpecialMask = false;
  chip.isReadingIsr = false;
  chip.isPolled = false;
  chip.isAutoEoi = false;
  chip.isSpecialFullyNested = false;
  chip.isRotatingInAutoEoi = false;
}

function writeOcw3(chip: Chip, value: number): void {
  if ((value & OCW3_POLL) !== 0) chip.isPolled = true;
  if ((value & OCW3_RR) !== 0) chip.isReadingIsr = (value & OCW3_RIS) !== 0;
  if ((value & OCW3_ESMM) !== 0) chip.isSpecialMask = (value & OCW3_SMM) !== 0;
}

function writeOcw2(chip: Chip, command: number, level: number): void {
  switch (command) {
    case OCW2_ROTATE_IN_AEOI_CLEAR:
    case OCW2_ROTATE_IN_AEOI_SET:
      chip.isRotatingInAutoEoi = command === OCW2_ROTATE_IN_AEOI_SET;
      break;
    case OCW2_NON_SPECIFIC_EOI:
    case OCW2_ROTATE_ON_NON_SPECIFIC_EOI:
      endHighestInterrupt(chip, command === OCW2_ROTATE_ON_NON_SPECIFIC_EOI);
      break;
    case OCW2_SPECIFIC_EOI:
      chip.isr &= ~(1 << level);
      break;
    case OCW2_ROTATE_ON_SPECIFIC_EOI:
      chip.isr &= ~(1 << level);
      chip.lowestPriority = level;
      break;
    case OCW2_SET_PRIORITY:
      chip.lowestPriority = level;
      break;
    default: // 2 is no operation
  }
}

function endHighestInterrupt(chip: Chip, isRotating: boolean): void {
  // In special mask mode a masked level is not cleared by a non-specific EOI (datasheet, "EOI").
  const inService = chip.isSpecialMask ? chip.isr & ~chip.imr : chip.isr;
  for (let rank = 1; rank <= 8; rank++) {
    const level = (chip.lowestPriority + rank) & 7;
    if ((inService & (1 << level)) === 0) continue;
    chip.isr &= ~(1 << level);
    if (isRotating) chip.lowestPriority = level;
    return;
  }
}

function writeData(chip: Chip, value: number): void {
  const icwAfter3 = (chip.icw1 & ICW1_IC4) !== 0 ? 4 : 0;
  switch (chip.nextIcw) {
    case 2:
      chip.vectorBase = value & 0xf8;
      chip.nextIcw = (chip.icw1 & ICW1_SNGL) !== 0 ? icwAfter3 : 3;
      break;
    case 3: // The wiring is fixed; the word only has to be sent.
      chip.nextIcw = icwAfter3;
      break;
    case 4:
      chip.isAutoEoi = (value & ICW4_AEOI) !== 0;
      chip.isSpecialFullyNested = (value & ICW4_SFNM) !== 0;
      chip.nextIcw = 0;
      break;
    default:
      chip.imr = value;
  }
}

function describeChip(chip: Chip): string {
  const hex = (value: number): string => value.toString(16).padStart(2, '0');
  return (
    `irr=${hex(chip.irr)} imr=${hex(chip.imr)} isr=${hex(chip.isr)} ` +
    `base=${hex(chip.vectorBase)} elcr=${hex(chip.elcr)}`
  );
}

function chipLines(name: string, firstIrq: number, chip: Chip): string[] {
  const irqs = (bits: number): string => {
    const set = [0, 1, 2, 3, 4, 5, 6, 7].filter((level) => (bits & (1 << level)) !== 0);
    return set.length === 0 ? '-' : set.map((level) => String(firstIrq + level)).join(' ');
  };
  const modes = [
    chip.nextIcw === 0 ? '' : `waiting for ICW${chip.nextIcw}`,
    chip.isAutoEoi ? 'automatic EOI' : '',
    chip.isSpecialFullyNested ? 'special fully nested' : '',
    chip.isSpecialMask ? 'special mask' : '',
    chip.isRotatingInAutoEoi ? 'rotating' : '',
  ].filter((mode) => mode !== '');
  const pending = pendingLevel(chip);
  return [
    `${name}: ${describeChip(chip)}`,
    `  IRQs requested ${irqs(chip.irr)}; in service ${irqs(chip.isr)}; masked ${irqs(chip.imr)}`,
    `  IRQ ${firstIrq} is vector 0x${chip.vectorBase.toString(16)}; level-triggered ${irqs(chip.elcr)}`,
    `  lines high ${irqs(chip.lines)}; next to be served ${
      pending === undefined ? '-' : `IRQ ${firstIrq + pending}`
    }${modes.length === 0 ? '' : `; ${modes.join(', ')}`}`,
  ];
}
