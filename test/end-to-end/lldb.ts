/** Drives the real lldb in batch mode. */
import { collect } from './gdb.ts';

const IMAGE = 'kernel/images/kernel.elf';

/** Attaches with the kernel's file, runs the commands and quits: all that it printed. */
export function lldb(address: string, ...commands: string[]): Promise<string> {
  return lldbWith([IMAGE], address, ...commands);
}

export async function lldbWith(
  args: readonly string[],
  address: string,
  ...commands: string[]
): Promise<string> {
  const script = [`gdb-remote ${address}`, ...commands, 'quit'];
  const options = script.flatMap((command) => ['-o', command]);
  return (await collect('lldb-14', ['-x', '-b', ...options, ...args])).output;
}

export function monitorOfLldb(line: string): string {
  return `process plugin packet monitor ${line}`;
}
