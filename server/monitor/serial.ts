/**
 * `serial [N]`: what the guest wrote to its serial console.
 */
import { defineMonitorCommand, expectArguments, parseCount } from './monitor-command.ts';

const DEFAULT_LINES = 20;

export const serialCommand = defineMonitorCommand({
  name: 'serial',
  syntax: 'serial [N]',
  access: 'look',
  summary: "the last N lines (20) of the guest's serial console",
  help: 'The last MiB since power-on is kept. Control characters are left out.',
  sample: '[TEST] test_fork PASSED',
  run({ machine }, args) {
    expectArguments(this, args, 1);
    const count = args[0] === undefined ? DEFAULT_LINES : parseCount(args[0], 'the line count');
    const text = Buffer.from(machine.serialHistory()).toString('latin1');
    const lines = text.replace(/[^\n\t\x20-\x7e]/g, '').split('\n');
    if (lines.at(-1) === '') lines.pop();
    return lines.length === 0 ? 'nothing yet' : lines.slice(-count).join('\n');
  },
});
