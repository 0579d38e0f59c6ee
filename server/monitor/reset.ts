/**
 * `reset`: power cycle.
 */
import { defineMonitorCommand, expectArguments } from './monitor-command.ts';

/**
 * gdb keeps registers and frames in a cache that a monitor command does not clear, and a selected
 * thread that is gone cannot be read: thread 1 is always there.
 */
function flushLine(selectedTid: number): string {
  const select = selectedTid === 0 ? '' : 'thread 1, then ';
  return `gdb still shows the old registers; type: ${select}maintenance flush register-cache`;
}

export const resetCommand = defineMonitorCommand({
  name: 'reset',
  syntax: 'reset',
  access: 'control',
  summary: 'power cycle: boots the image again',
  help: [
    'A halted machine stays halted, before its first instruction; a running one boots and runs.',
    'Breakpoints stay. gdb does not notice by itself: type the line at the end of the answer.',
  ].join('\n'),
  sample: `the machine was reset\n${flushLine(3)}`,
  run(context, args) {
    expectArguments(this, args, 0);
    context.reset();
    return `the machine was reset\n${flushLine(context.selectedTid)}`;
  },
});
