/** Drives the real lldb in batch mode. */
import { collect } from './gdb.ts';

const IMAGE = 'kernel/images/kernel.elf';

/** Attaches with the kernel's file, runs the commands and quits: all that it printed. */
export async function lldb(address: string, ...commands: string[]): Promise<string> {
  const script = [`gdb-remote ${address}`, ...commands, 'quit'];
  const options = script.flatMap((command) => ['-o', command]);
  return (await collect('lldb-14', ['-x', '-b', ...options, IMAGE])).output;
}

export function monitorOfLldb(line: string): string {
  return `process plugin packet monitor ${line}`;
}
