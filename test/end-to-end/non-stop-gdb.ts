/** The real gdb at a terminal with `set non-stop on`: what it prints comes when it likes. */
import { expect } from 'vitest';
import { READY } from './served-kernel.ts';
import { ServerProcess } from './server-process.ts';
import { Terminal } from './terminal.ts';

const SETTINGS = ['confirm off', 'pagination off', 'width 0', 'non-stop on'];

export class NonStopGdb {
  readonly server: ServerProcess;
  readonly terminal: Terminal;

  private constructor(server: ServerProcess) {
    const settings = SETTINGS.flatMap((setting) => ['-iex', `'set ${setting}'`]);
    this.server = server;
    this.terminal = new Terminal('gdb', '-nx', '-q', ...settings);
  }

  /** `args` are the server's; `how` is gdb's command. */
  static async attach(
    how: 'target remote' | 'target extended-remote',
    args: readonly string[],
    ...before: string[]
  ): Promise<NonStopGdb> {
    const server = await ServerProcess.start(...args);
    if (!args.includes('--wait')) await server.serial(READY);
    const session = new NonStopGdb(server);
    for (const command of before) session.terminal.type(command);
    await session.type(`${how} ${server.address}`, 'Created tracepoint ');
    return session;
  }

  async type(command: string, ...expected: string[]): Promise<void> {
    this.terminal.type(command);
    for (const text of expected) await this.terminal.waitFor(text);
  }

  /** The value that a `print` shows. */
  async value(expression: string): Promise<bigint> {
    await this.type(`printf "value %lu.\\n", (unsigned long) ${expression}`, '\nvalue ', '.');
    return BigInt(this.terminal.text.match(/(?<=\nvalue )\d+(?=\.)/g)!.at(-1)!);
  }

  async quit(): Promise<void> {
    this.terminal.type('quit');
    await this.terminal.ended();
  }

  /** Ends the server; neither side may have met what it did not expect. */
  async end(): Promise<void> {
    expect(this.terminal.text).not.toMatch(/internal-error|Remote failure|unexpected/i);
    await this.server.stop();
    expect(this.server.stderr).not.toContain('internal error');
  }
}
