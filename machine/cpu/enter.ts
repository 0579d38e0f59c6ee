/** ENTER with any nesting level (Intel SDM 2A, "ENTER"). */
import { isFault, type GuestFault } from '../guest-fault.ts';
import type { Cpu } from './cpu.ts';
import { currentStack, peekAll, pushAll, setStackPointer, slotBytesOf } from './stack.ts';

/** The whole frame is written, and the place that rsp ends at proved writable, before rbp moves. */
export function enter(
  cpu: Cpu,
  localBytes: number,
  level: number,
  operandWidth: number,
): GuestFault | undefined {
  const { state } = cpu;
  const stack = currentStack(cpu);
  const slotBytes = slotBytesOf(operandWidth);
  const frame = BigInt.asUintN(stack.width, stack.pointer - BigInt(slotBytes));
  const values = [state.rbp];
  if (level > 1) {
    // The display: the frame pointers of the enclosing procedures, highest address first.
    const start = BigInt.asUintN(stack.width, state.rbp - BigInt(slotBytes * (level - 1)));
    const display = peekAll(cpu, { ...stack, pointer: start }, level - 1, slotBytes);
    if (isFault(display)) return display;
    values.push(...[...display].reverse());
  }
  if (level > 0) values.push(frame);
  const pushed = BigInt.asUintN(stack.width, stack.pointer - BigInt(values.length * slotBytes));
  const final = BigInt.asUintN(stack.width, pushed - BigInt(localBytes));
  const linear = BigInt.asUintN(stack.width === 64 ? 64 : 32, stack.base + final);
  const failed = cpu.memory.linear.probeWrite(linear, slotBytes, stack.context, 'stack');
  if (failed !== undefined) return failed;
  const pointer = pushAll(cpu, stack, values, slotBytes);
  if (isFault(pointer)) return pointer;
  state.rbp = operandWidth === 16 ? (state.rbp & ~0xffffn) | (frame & 0xffffn) : frame;
  setStackPointer(cpu, final, stack.width);
  return undefined;
}
