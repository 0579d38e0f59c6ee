/** How a guest without a debugger has ended, in words on stderr and as an exit status. */
import type { StopReason } from '../../machine/index.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import { describeTripleFault } from '../target/exception-text.ts';
import { EXIT } from './exit-status.ts';

/** The status for all but a write to the debug-exit port, which gives what was written. */
export function describeEnd(
  end: StopReason,
  maxInstructions: number | undefined,
  symbols: () => SymbolTable,
): number {
  switch (end.kind) {
    case 'debug-exit':
      return end.value;
    case 'power-off':
      return EXIT.success;
    case 'triple-fault': {
      for (const line of describeTripleFault(end.report, symbols())) say(line);
      return EXIT.tripleFault;
    }
    case 'budget':
      say(`${maxInstructions ?? ''} instructions (--max-instructions) are used up`);
      return EXIT.instructionLimit;
    case 'reset-request':
      say('the guest asked for a reset');
      return EXIT.reset;
    case 'idle':
      say('the guest halted, and no timer is armed that could wake it');
      return EXIT.idleForGood;
    case 'breakpoint':
    case 'watchpoint':
    case 'step':
    case 'system-call':
    case 'exception':
      throw new Error(`a run without a debugger ended with ${end.kind}`);
  }
}

export function say(line: string): void {
  process.stderr.write(`exoscope: ${line}\n`);
}
