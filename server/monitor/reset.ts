/**
 * `reset`: power cycle.
 */
import { flushLine } from './flush-line.ts';
import { defineMonitorCommand, expectArguments } from './monitor-command.ts';

export const resetCommand = defineMonitorCommand({
  name: 'reset',
  syntax: 'reset',
  access: 'control',
  summary: 'power cycle: boots the image again',
  help: [
    'A halted machine stays halted, before its first instruction; a running one boots and runs.',
    'Breakpoints stay. gdb does not notice by itself: type the line at the end of the answer.',
  ].join('\n'),
  sample: `the machine was reset\n${flushLine(false)}`,
  run(context, args) {
    expectArguments(this, args, 0);
    context.reset();
    return `the machine was reset\n${flushLine(context.selectedTid === 0)}`;
  },
});
