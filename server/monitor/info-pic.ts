/** `info pic`: the two 8259 interrupt controllers: requests, masks, vectors. */
import { MonitorError, defineMonitorCommand, expectArguments } from './monitor-command.ts';

export const infoPicCommand = defineMonitorCommand({
  name: 'info pic',
  syntax: 'info pic',
  access: 'look',
  summary: 'the two 8259 interrupt controllers: requests, masks, vectors',
  help: [
    "For each chip its registers, then what they mean in IRQ numbers; the slave's are 8 to 15. The last",
    'line says whether the pair asks the CPU for an interrupt.',
  ].join('\n'),
  sample: [
    'master: irr=00 imr=fa isr=00 base=20 elcr=00',
    '  IRQs requested -; in service -; masked 1 3 4 5 6 7',
  ].join('\n'),
  run({ machine }, args) {
    expectArguments(this, args, 0);
    const device = machine.describeDevices().find(({ name }) => name === 'pic8259');
    if (device?.registers === undefined) throw new MonitorError('this machine has none');
    return device.registers.join('\n');
  },
});
