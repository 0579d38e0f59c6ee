/**
 * Runs a line that a user typed behind `monitor`: finds the command by its name or a unique prefix
 * of each of its words (`i r` is `info registers`), as gdb's users expect, and turns mistakes into
 * one line.
 */
import type { MonitorAccess, MonitorResult } from '../target/target.ts';
import { MONITOR_COMMANDS } from './index.ts';
import { type MonitorCommand, type MonitorContext, MonitorError } from './monitor-command.ts';

export interface MonitorLine {
  readonly commandLine: string;
  readonly access: MonitorAccess;
  readonly selectedTid: number;
  readonly output: (text: string) => void;
}

interface FoundCommand {
  readonly command: MonitorCommand;
  readonly args: readonly string[];
}

export class MonitorCommands {
  readonly #context: Omit<MonitorContext, 'selectedTid'>;

  constructor(context: Omit<MonitorContext, 'selectedTid'>) {
    this.#context = context;
  }

  get symbols(): MonitorContext['symbols'] {
    return this.#context.symbols;
  }

  run({ commandLine, access, selectedTid, output }: MonitorLine): MonitorResult {
    try {
      const { command, args } = findCommand(MONITOR_COMMANDS, commandLine);
      const isLook =
        command.access === 'look' || (args.length === 0 && command.looksWithoutArguments);
      if (isLook !== true && access !== 'control') {
        throw new MonitorError(`a debugger is attached: \`${command.name}\` is its to type`);
      }
      // The machine may have run since the guest was last looked at.
      this.#context.guest.forget();
      const answer = command.run({ ...this.#context, selectedTid }, args);
      const { text, afterReply } = typeof answer === 'string' ? { text: answer } : answer;
      if (text !== '') output(`${text}\n`);
      return afterReply === undefined ? {} : { afterReply };
    } catch (error) {
      if (error instanceof MonitorError) return { failure: error.message };
      throw error;
    }
  }
}

/** The command that a line names, and its arguments; an empty line means `help`. */
export function findCommand(commands: readonly MonitorCommand[], line: string): FoundCommand {
  const words = line.split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) words.push('help');
  const matches = commands.filter((command) => matchesPrefix(command, words));
  const exact = matches.filter(({ name }) =>
    name.split(' ').every((word, index) => word === words[index]),
  );
  // `i r` is `info registers` and not `icount r`: more words matched count for more.
  const longest = matches.filter(({ name }) => name.includes(' '));
  const candidates = longest.length > 0 ? longest : matches;
  // `proc` is `processes` and not `processes-as-inferiors`.
  const stem = candidates.filter(({ name }) =>
    candidates.every((other) => other.name.startsWith(name)),
  );
  const found = exact.length > 0 ? exact : stem.length > 0 ? stem : candidates;
  if (found.length === 1) {
    const command = found[0]!;
    return { command, args: words.slice(command.name.split(' ').length) };
  }
  throw new MonitorError(explainFailure(commands, words, found));
}

function matchesPrefix({ name }: MonitorCommand, words: readonly string[]): boolean {
  return name.split(' ').every((word, index) => {
    const typed = words[index]?.toLowerCase();
    return typed !== undefined && word.startsWith(typed);
  });
}

function explainFailure(
  commands: readonly MonitorCommand[],
  words: readonly string[],
  found: readonly MonitorCommand[],
): string {
  const list = (candidates: readonly MonitorCommand[]): string =>
    candidates.map(({ name }) => name).join(', ');
  const typed = words.join(' ');
  if (found.length > 1) return `"${typed}" is ambiguous: ${list(found)}`;
  const family = commands.filter(
    ({ name }) => name.split(' ').length > 1 && name.startsWith(typed),
  );
  if (family.length > 0) return `"${typed}" needs one more word: ${list(family)}`;
  return `no command "${typed}"; \`help\` lists them`;
}
