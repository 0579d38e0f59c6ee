/** Drives the real gdb in batch mode and hands out what it printed, command by command. */
import { spawn } from 'node:child_process';
import { ROOT } from './server-process.ts';

export interface GdbResult {
  /** What each command printed, in order; the same commands as given. */
  readonly printed: readonly string[];
  readonly everything: string;
  readonly status: number | null;
}

const MARK = '@@';

/** Runs gdb without init files and without a file argument, with `-ex` for each command. */
export function gdb(...commands: string[]): Promise<GdbResult> {
  return gdbWith([], ...commands);
}

export async function gdbWith(args: readonly string[], ...commands: string[]): Promise<GdbResult> {
  const settings = ['set pagination off', 'set confirm off', 'set width 0'];
  const marked = commands.flatMap((command) => [command, `echo ${MARK}\\n`]);
  const expressions = [...settings, `echo ${MARK}\\n`, ...marked].flatMap((text) => ['-ex', text]);
  const { output, status } = await collect('gdb', ['-nx', '-q', '-batch', ...args, ...expressions]);
  const sections = output.split(`${MARK}\n`);
  return { printed: sections.slice(1), everything: output, status };
}

/**
 * Runs a program to its end; standard output and standard error together, through one pipe: through two
 * of them what `monitor` prints could come after the mark that follows it.
 */
export function collect(
  program: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<{ output: string; status: number | null }> {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', 'exec "$0" "$@" 2>&1', program, ...args], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, LC_ALL: 'C', ...environment },
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', reject);
    child.once('close', (status) => resolve({ output, status }));
  });
}
