/**
 * `quit`: ends the server.
 */
import { MonitorError, defineMonitorCommand, expectArguments } from './monitor-command.ts';

export const quitCommand = defineMonitorCommand({
  name: 'quit',
  syntax: 'quit',
  access: 'control',
  summary: 'ends the server, and the machine with it',
  help: 'The answer is sent first; then every connection is closed.',
  sample: 'the server ends',
  run({ quit }, args) {
    expectArguments(this, args, 0);
    if (quit === undefined) throw new MonitorError('this server cannot be ended from here');
    return { text: 'the server ends', afterReply: quit };
  },
});
