/**
 * The 8042 keyboard controller without a keyboard or mouse (IBM PS/2 technical reference, "Keyboard
 * and Auxiliary Device Controller"): kernels probe it, open A20 with it and reset the machine with
 * it. Bytes for the missing keyboard are taken and never answered.
 *
 * The A20 gate is stored and can be read back, but memory does not wrap at 1 MiB when it is shut:
 * every boot protocol here hands over with A20 open.
 */
import type { DeviceState, FieldRules } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';
import type { Device, InterruptLine } from './device.ts';

const DATA_PORT = 0x60;
const COMMAND_PORT = 0x64;

const STATUS_OBF = 0x01;
const STATUS_SYS = 0x04;
const STATUS_COMMAND = 0x08;
/** Not locked by a key. */
const STATUS_UNLOCKED = 0x10;

const COMMAND_READ_BYTE = 0x20;
const COMMAND_WRITE_BYTE = 0x60;
const COMMAND_DISABLE_AUX = 0xa7;
const COMMAND_ENABLE_AUX = 0xa8;
const COMMAND_TEST_AUX = 0xa9;
const COMMAND_SELF_TEST = 0xaa;
const COMMAND_TEST_KEYBOARD = 0xab;
const COMMAND_DISABLE_KEYBOARD = 0xad;
const COMMAND_ENABLE_KEYBOARD = 0xae;
const COMMAND_READ_INPUT_PORT = 0xc0;
const COMMAND_READ_OUTPUT_PORT = 0xd0;
const COMMAND_WRITE_OUTPUT_PORT = 0xd1;
const COMMAND_WRITE_OUTPUT_BUFFER = 0xd2;
/** Beyond the IBM set; chip sets and QEMU have them. */
const COMMAND_DISABLE_A20 = 0xdd;
const COMMAND_ENABLE_A20 = 0xdf;
/** 0xf0–0xff pulse output port bits low where the command's bit is 0. */
const COMMAND_PULSE = 0xf0;

const BYTE_INTERRUPT_KEYBOARD = 0x01;
const BYTE_SYSTEM_FLAG = 0x04;
const BYTE_DISABLE_KEYBOARD = 0x10;
const BYTE_DISABLE_AUX = 0x20;
/** As firmware leaves it: interrupts on, translation on, no auxiliary device. */
const BYTE_AT_POWER_ON = 0x65;

const OUTPUT_NOT_RESET = 0x01;
const OUTPUT_A20 = 0x02;
const OUTPUT_AT_POWER_ON = 0xcf;

const SELF_TEST_PASSED = 0x55;
const KEYBOARD_TEST_PASSED = 0x00;
/** No auxiliary port: its clock line is stuck. */
const AUX_TEST_FAILED = 0x01;
const INPUT_PORT = 0x80;

function powerOnState() {
  return {
    commandByte: BYTE_AT_POWER_ON,
    outputPort: OUTPUT_AT_POWER_ON,
    /** The byte that waits in the output buffer. */
    outputBuffer: null as number | null,
    lastOutput: 0,
    /** The command that waits for its data byte; 0 for none. */
    pendingCommand: 0,
    /** Whether the last byte written went to the command port. */
    isLastCommand: false,
  };
}

const RULES: FieldRules = { nullable: { outputBuffer: 0 } };

export class KeyboardController8042 implements Device {
  readonly name = 'keyboard-controller-8042';
  readonly version = 1;
  readonly ports = [
    { first: DATA_PORT, last: DATA_PORT },
    { first: COMMAND_PORT, last: COMMAND_PORT },
  ];
  private readonly irq1: InterruptLine;
  private readonly requestReset: () => void;
  private state = powerOnState();

  constructor(irq1: InterruptLine, requestReset: () => void) {
    this.irq1 = irq1;
    this.requestReset = requestReset;
  }

  readPort(port: number): number {
    const { state } = this;
    if (port === DATA_PORT) {
      state.lastOutput = state.outputBuffer ?? state.lastOutput;
      state.outputBuffer = null;
      this.irq1.set(false);
      return state.lastOutput;
    }
    return (
      STATUS_UNLOCKED |
      (state.outputBuffer !== null ? STATUS_OBF : 0) |
      ((state.commandByte & BYTE_SYSTEM_FLAG) !== 0 ? STATUS_SYS : 0) |
      (state.isLastCommand ? STATUS_COMMAND : 0)
    );
  }

  writePort(port: number, value: number): void {
    this.state.isLastCommand = port === COMMAND_PORT;
    if (port === COMMAND_PORT) this.command(value);
    else this.data(value);
  }

  reset(): void {
    this.state = powerOnState();
    this.irq1.set(false);
  }

  describe(): string {
    const { commandByte, outputPort } = this.state;
    const a20 = (outputPort & OUTPUT_A20) !== 0 ? 'open' : 'shut';
    return `no keyboard, command byte 0x${commandByte.toString(16)}, A20 ${a20}`;
  }

  save(): DeviceState {
    return copyState(this.state);
  }

  load(saved: DeviceState): void {
    this.state = restoreState(this.name, powerOnState(), saved, RULES);
  }

  private command(command: number): void {
    const { state } = this;
    state.pendingCommand = 0;
    if (command >= COMMAND_PULSE) {
      this.pulse(command);
      return;
    }
    switch (command) {
      case COMMAND_READ_BYTE: {
        this.answer(state.commandByte);
        return;
      }
      case COMMAND_TEST_AUX: {
        this.answer(AUX_TEST_FAILED);
        return;
      }
      case COMMAND_SELF_TEST:
        state.commandByte |= BYTE_SYSTEM_FLAG;
        {
          this.answer(SELF_TEST_PASSED);
          return;
        }
      case COMMAND_TEST_KEYBOARD: {
        this.answer(KEYBOARD_TEST_PASSED);
        return;
      }
      case COMMAND_READ_INPUT_PORT: {
        this.answer(INPUT_PORT);
        return;
      }
      case COMMAND_READ_OUTPUT_PORT: {
        this.answer(state.outputPort);
        return;
      }
      case COMMAND_WRITE_BYTE:
      case COMMAND_WRITE_OUTPUT_PORT:
      case COMMAND_WRITE_OUTPUT_BUFFER:
        state.pendingCommand = command;
        return;
      default:
        this.switchLine(command);
    }
  }

  private switchLine(command: number): void {
    const { state } = this;
    switch (command) {
      case COMMAND_DISABLE_AUX:
        state.commandByte |= BYTE_DISABLE_AUX;
        break;
      case COMMAND_ENABLE_AUX:
        state.commandByte &= ~BYTE_DISABLE_AUX;
        break;
      case COMMAND_DISABLE_KEYBOARD:
        state.commandByte |= BYTE_DISABLE_KEYBOARD;
        break;
      case COMMAND_ENABLE_KEYBOARD:
        state.commandByte &= ~BYTE_DISABLE_KEYBOARD;
        break;
      case COMMAND_DISABLE_A20:
        state.outputPort &= ~OUTPUT_A20;
        break;
      case COMMAND_ENABLE_A20:
        state.outputPort |= OUTPUT_A20;
        break;
      default: // unknown commands are ignored
    }
  }

  private data(value: number): void {
    const { state } = this;
    const command = state.pendingCommand;
    state.pendingCommand = 0;
    if (command === COMMAND_WRITE_BYTE) state.commandByte = value;
    else if (command === COMMAND_WRITE_OUTPUT_BUFFER) this.answer(value);
    else if (command === COMMAND_WRITE_OUTPUT_PORT) {
      state.outputPort = value;
      if ((value & OUTPUT_NOT_RESET) === 0) this.requestReset();
    }
  }

  private pulse(command: number): void {
    if ((command & OUTPUT_NOT_RESET) === 0) this.requestReset();
  }

  private answer(byte: number): void {
    this.state.outputBuffer = byte;
    if ((this.state.commandByte & BYTE_INTERRUPT_KEYBOARD) !== 0) this.irq1.set(true);
  }
}
