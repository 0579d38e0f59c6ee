/** `break-if ADDRESS CONDITION`: a breakpoint of the server's own, with a condition in words. */
import { BREAKPOINT_KIND } from '../target/target.ts';
import { addStop, CONDITION_HELP, listOrDelete } from './conditional-stops.ts';
import { MonitorError, defineMonitorCommand, parseAddress } from './monitor-command.ts';

export const breakIfCommand = defineMonitorCommand({
  name: 'break-if',
  syntax: 'break-if [ADDRESS CONDITION | delete N|all]',
  access: 'control',
  looksWithoutArguments: true,
  summary: 'stop at an address when a condition holds: `break-if sys_fork guest_pid == 2`',
  help: CONDITION_HELP.join('\n'),
  sample: '1: 0xffffffff80105c0a <sys_fork> when guest_pid == 2 && ret_rsp != 0',
  run(context, args) {
    const answer = listOrDelete(context, args, this.syntax);
    if (answer !== undefined) return answer;
    const [where = '', ...condition] = args;
    if (condition.length === 0) throw new MonitorError(`usage: ${this.syntax}`);
    const address = parseAddress(where, context);
    const place = { kind: BREAKPOINT_KIND.software, address, lengthBytes: 1 };
    return addStop(context, place, condition.join(' '));
  },
});
