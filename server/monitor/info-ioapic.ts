/** `info ioapic`: the I/O APIC's redirection table, decoded. */
import { MonitorError, defineMonitorCommand, expectArguments } from './monitor-command.ts';

export const infoIoApicCommand = defineMonitorCommand({
  name: 'info ioapic',
  syntax: 'info ioapic',
  access: 'look',
  summary: "the I/O APIC's redirection table, decoded",
  help: [
    'A line for each input: the high and the low half of its entry (Intel 82093AA data sheet), then what',
    'they mean. IRQ 0, the PIT, is input 2; the other IRQs are inputs of their own number.',
  ].join('\n'),
  sample: [
    'I/O APIC: ID 0, version 0x11, 24 inputs',
    'input  2  00000000 00000020  fixed, vector 0x20, edge, to APIC 0',
  ].join('\n'),
  run({ machine }, args) {
    expectArguments(this, args, 0);
    const device = machine.describeDevices().find(({ name }) => name === 'io-apic');
    if (device?.registers === undefined) throw new MonitorError('this machine has none');
    return device.registers.join('\n');
  },
});
