/**
 * The one list of monitor commands, in the order of their help.
 */
import { breakIfCommand } from './break-if.ts';
import { catchCommand } from './catch.ts';
import { devicesCommand } from './devices.ts';
import { forksCommand } from './forks.ts';
import { helpCommand } from './help.ts';
import { icountCommand } from './icount.ts';
import { infoMemCommand } from './info-mem.ts';
import { infoRegistersCommand } from './info-registers.ts';
import { infoTlbCommand } from './info-tlb.ts';
import { jitCommand } from './jit.ts';
import { disassembleCommand } from './disassemble.ts';
import { infoApicCommand } from './info-apic.ts';
import { infoGdtCommand } from './info-gdt.ts';
import { infoIdtCommand } from './info-idt.ts';
import { infoIoApicCommand } from './info-ioapic.ts';
import { infoPicCommand } from './info-pic.ts';
import { infoTssCommand } from './info-tss.ts';
import { whyCommand } from './why.ts';
import type { MonitorCommand } from './monitor-command.ts';
import { processesCommand } from './processes.ts';
import { processesAsInferiorsCommand } from './processes-as-inferiors.ts';
import { quitCommand } from './quit.ts';
import { resetCommand } from './reset.ts';
import { returnAddressesCommand } from './retaddr.ts';
import { screenCommand } from './screen.ts';
import { serialCommand } from './serial.ts';
import { snapshotCommand } from './snapshot.ts';
import { threadsCommand } from './threads.ts';
import { translateCommand } from './translate.ts';
import { watchIfCommand } from './watch-if.ts';
import { physicalMemoryCommand } from './xp.ts';

export const MONITOR_COMMANDS: readonly MonitorCommand[] = withoutDuplicates([
  helpCommand(() => MONITOR_COMMANDS),
  threadsCommand,
  processesCommand,
  processesAsInferiorsCommand,
  forksCommand,
  returnAddressesCommand,
  infoRegistersCommand,
  infoMemCommand,
  infoTlbCommand,
  infoIdtCommand,
  infoGdtCommand,
  infoTssCommand,
  infoApicCommand,
  infoIoApicCommand,
  infoPicCommand,
  translateCommand,
  physicalMemoryCommand,
  disassembleCommand,
  breakIfCommand,
  watchIfCommand,
  catchCommand,
  whyCommand,
  serialCommand,
  screenCommand,
  icountCommand,
  jitCommand,
  devicesCommand,
  snapshotCommand,
  resetCommand,
  quitCommand,
]);

/** Throws when two commands have the same name. */
export function withoutDuplicates(commands: readonly MonitorCommand[]): readonly MonitorCommand[] {
  const names = new Set<string>();
  for (const { name } of commands) {
    if (names.has(name)) throw new Error(`two monitor commands are called "${name}"`);
    names.add(name);
  }
  return commands;
}
