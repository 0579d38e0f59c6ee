/** `snapshot`: keeps the machine as it is now under a name, and goes back to there. */
import { KeptStateError, mebibytes, type KeptState } from '../target/kept-states.ts';
import { flushLine } from './flush-line.ts';
import { addressWithSymbol, table } from './format.ts';
import {
  defineMonitorCommand,
  expectArguments,
  MonitorError,
  type MonitorContext,
} from './monitor-command.ts';

const LONGEST_NAME = 40;

export const snapshotCommand = defineMonitorCommand({
  name: 'snapshot',
  syntax: 'snapshot [save NAME | load NAME | drop NAME]',
  access: 'control',
  looksWithoutArguments: true,
  summary: 'keep the machine as it is now, and go back to there, to the bit; alone it lists',
  help: [
    'The machine goes back with its memory, devices, time and serial history, and what the server knows',
    'of the run with it: `forks` and the frames of the trace that is there from boot. From there the same',
    'happens again, unless somebody interferes. Breakpoints stay as they are now. A running machine goes',
    'on running from there. gdb does not notice by itself: type the line at the end of the answer.',
    'Up to 16 are kept, in at most 1 GiB of memory (64 MiB in each machine of --sessions), until the',
    'server ends.',
  ].join('\n'),
  sample: [
    'the machine is where "before" was kept: at 0xffffffff801066dc <sys_fork> after 925355 instructions',
    flushLine(true),
  ].join('\n'),
  run(context, args) {
    expectArguments(this, args, 2);
    const [action, name] = args;
    const { states } = context;
    if (states === undefined) throw new MonitorError('this machine cannot be saved');
    if (action === undefined) return list(states.list, context);
    const isKnown = action === 'save' || action === 'load' || action === 'drop';
    if (!isKnown || name === undefined) throw new MonitorError(`usage: ${this.syntax}`);
    if (name.length > LONGEST_NAME) {
      throw new MonitorError(`a name has at most ${LONGEST_NAME} characters`);
    }
    try {
      return ACTIONS[action](states, name, context);
    } catch (error) {
      throw error instanceof KeptStateError ? new MonitorError(error.message) : error;
    }
  },
});

type States = NonNullable<MonitorContext['states']>;
type Action = (states: States, name: string, context: MonitorContext) => string;

const ACTIONS: Readonly<Record<'save' | 'load' | 'drop', Action>> = {
  save: (states, name, context) => {
    const kept = states.save(name);
    return `kept as "${name}": ${placeOf(kept, context)}; ${mebibytes(kept.bytes)}`;
  },
  load: (states, name, context) => {
    const kept = states.load(name);
    const isThere = context.guest.threads().items.some(({ tid }) => tid === context.selectedTid);
    return [
      `the machine is where "${name}" was kept: ${placeOf(kept, context)}`,
      flushLine(isThere || context.selectedTid === 0),
    ].join('\n');
  },
  drop: (states, name) => {
    states.drop(name);
    return `"${name}" is dropped`;
  },
};

function list(kept: readonly KeptState[], { symbols }: MonitorContext): string {
  if (kept.length === 0) return 'no snapshot is kept';
  const rows = kept.map(({ name, rip, icount, bytes }) => [
    name,
    addressWithSymbol(rip, symbols),
    `${icount}`,
    mebibytes(bytes),
  ]);
  return table(['name', 'at', '>instructions', '>memory'], rows);
}

function placeOf({ rip, icount }: KeptState, { symbols }: MonitorContext): string {
  return `at ${addressWithSymbol(rip, symbols)} after ${icount} instructions`;
}
