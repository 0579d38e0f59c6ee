/**
 * `devices`: the chips of the machine and their state.
 */
import { table } from './format.ts';
import { defineMonitorCommand, expectArguments } from './monitor-command.ts';

export const devicesCommand = defineMonitorCommand({
  name: 'devices',
  syntax: 'devices',
  access: 'look',
  summary: "the machine's devices, a line each",
  help: 'Names are those that snapshots use.',
  sample: 'pit8254  counter 0: mode 2, 11932 ticks, 100.0 Hz',
  run({ machine }, args) {
    expectArguments(this, args, 0);
    return table(
      ['device', 'state'],
      machine.describeDevices().map(({ name, text }) => [name, text]),
    );
  },
});
