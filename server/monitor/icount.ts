/**
 * `icount`: how far the guest has run.
 */
import { TICKS_PER_SECOND } from '../../machine/index.ts';
import { defineMonitorCommand, expectArguments } from './monitor-command.ts';

export const icountCommand = defineMonitorCommand({
  name: 'icount',
  syntax: 'icount',
  access: 'look',
  summary: 'how far the guest has run: instructions and virtual time',
  help: 'Both count from power-on. Virtual time derives from instructions and from idle waiting.',
  sample: '34170221 instructions, 2.514060210 s of virtual time',
  run({ machine }, args) {
    expectArguments(this, args, 0);
    const { icount, ticks } = machine;
    const fraction = (ticks % TICKS_PER_SECOND).toString().padStart(9, '0');
    return `${icount} instructions, ${ticks / TICKS_PER_SECOND}.${fraction} s of virtual time`;
  },
});
