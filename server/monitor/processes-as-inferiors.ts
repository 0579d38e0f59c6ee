/** `processes-as-inferiors on|off`: what the debugger that attaches next sees. */
import { MonitorError, defineMonitorCommand, expectArguments } from './monitor-command.ts';

export const processesAsInferiorsCommand = defineMonitorCommand({
  name: 'processes-as-inferiors',
  syntax: 'processes-as-inferiors [on|off]',
  access: 'control',
  looksWithoutArguments: true,
  summary: 'show gdb each process of the guest as an inferior, from the next attach on',
  help: [
    'With it gdb has an inferior for each process: fork, vfork, exec and exit events, follow-fork-mode,',
    'detach-on-fork, breakpoints and memory of each. Inferior 1 is the kernel. A debugger that is',
    'attached keeps what it has; type it with `exoscope monitor` before, or detach and attach again.',
  ].join('\n'),
  sample: 'processes as inferiors: on from the next attach on; this debugger does not have them',
  run({ processes }, args) {
    expectArguments(this, args, 1);
    if (processes === undefined) {
      throw new MonitorError("the server does not know this kernel's processes");
    }
    const [state] = args;
    if (state !== undefined && state !== 'on' && state !== 'off') {
      throw new MonitorError(`usage: ${this.syntax}`);
    }
    if (state !== undefined) processes.isWanted = state === 'on';
    const present = processes.isActive ? 'has' : 'does not have';
    const wanted = processes.isWanted ? 'on' : 'off';
    return `processes as inferiors: ${wanted} from the next attach on; this debugger ${present} them`;
  },
});
