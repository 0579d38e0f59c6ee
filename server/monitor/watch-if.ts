/** `watch-if ADDRESS LENGTH CONDITION`: a watchpoint of the server's own, with a condition in words. */
import type { ConditionalPlace } from '../target/conditional-stops.ts';
import { BREAKPOINT_KIND } from '../target/target.ts';
import { addStop, CONDITION_HELP, listOrDelete } from './conditional-stops.ts';
import { MonitorError, defineMonitorCommand, parseAddress, parseCount } from './monitor-command.ts';

export const watchIfCommand = defineMonitorCommand({
  name: 'watch-if',
  syntax: 'watch-if [ADDRESS LENGTH[:read|:access] CONDITION | delete N|all]',
  access: 'control',
  looksWithoutArguments: true,
  summary: 'stop after a write (or read) when a condition holds: `watch-if ticks 8 ticks > 500`',
  help: [
    'LENGTH bytes from ADDRESS on are watched; the condition sees the state behind the access.',
    ...CONDITION_HELP,
  ].join('\n'),
  sample: '2: write of 8 at 0xffffffff80122004 <ticks> when ticks > 500',
  run(context, args) {
    const answer = listOrDelete(context, args, this.syntax);
    if (answer !== undefined) return answer;
    const [where = '', length = '', ...condition] = args;
    if (condition.length === 0) throw new MonitorError(`usage: ${this.syntax}`);
    const [bytes = '', access = 'write', ...more] = length.split(':');
    const kind = ACCESS_KINDS.get(access);
    if (kind === undefined || more.length > 0) throw new MonitorError(`usage: ${this.syntax}`);
    const lengthBytes = parseCount(bytes, 'LENGTH');
    const place = { kind, address: parseAddress(where, context), lengthBytes };
    return addStop(context, place, condition.join(' '));
  },
});

const ACCESS_KINDS: ReadonlyMap<string, ConditionalPlace['kind']> = new Map([
  ['write', BREAKPOINT_KIND.write],
  ['read', BREAKPOINT_KIND.read],
  ['access', BREAKPOINT_KIND.access],
]);
