/** `info apic`: the local APIC's registers, decoded. */
import { MonitorError, defineMonitorCommand, expectArguments } from './monitor-command.ts';

export const infoApicCommand = defineMonitorCommand({
  name: 'info apic',
  syntax: 'info apic',
  access: 'look',
  summary: "the local APIC's registers, decoded",
  help: [
    'Register names as in Intel SDM 3A table 11-1. ISR, IRR and TMR list the vectors whose bits are set:',
    'in service, requested, level-triggered.',
  ].join('\n'),
  sample: [
    'local APIC: enabled',
    'TPR      0x00000000  PPR 0x00000000',
    'LVT      timer       0x00020020  fixed, vector 0x20, periodic',
  ].join('\n'),
  run({ machine }, args) {
    expectArguments(this, args, 0);
    const device = machine.describeDevices().find(({ name }) => name === 'local-apic');
    if (device?.registers === undefined) throw new MonitorError('this machine has none');
    return device.registers.join('\n');
  },
});
