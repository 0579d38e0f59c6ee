/** Interrupt lines: a wire from one chip's output to another chip's input. */
import type { InterruptLine } from './device.ts';

/** A line whose every change is told to `receive`; repeated levels are told too. */
export function lineTo(receive: (asserted: boolean) => void): InterruptLine {
  return { set: receive };
}
