/**
 * `help [COMMAND]`, made from the list.
 */
import { table } from './format.ts';
import { type MonitorCommand, MonitorError, defineMonitorCommand } from './monitor-command.ts';

/** `commands` is asked when the command runs: the list contains this command. */
export function helpCommand(commands: () => readonly MonitorCommand[]): MonitorCommand {
  return defineMonitorCommand({
    name: 'help',
    syntax: 'help [COMMAND]',
    access: 'look',
    summary: 'lists the commands, or explains one',
    help: 'Commands may be shortened to a unique prefix of each word: `i r` is `info registers`.',
    sample: 'icount  how far the guest has run: instructions and virtual time',
    run(_context, args) {
      if (args.length === 0) return overview(commands());
      const typed = args.join(' ').toLowerCase();
      const exact = commands().filter(({ name }) => name === typed);
      const found =
        exact.length > 0 ? exact : commands().filter(({ name }) => name.startsWith(typed));
      if (found.length === 0) throw new MonitorError(`no command "${typed}"; \`help\` lists them`);
      return found.map(explain).join('\n\n');
    },
  });
}

function overview(commands: readonly MonitorCommand[]): string {
  return table(
    ['command', 'what it shows or does'],
    commands.map(({ syntax, summary, access }) => [
      syntax,
      access === 'control' ? `${summary} (changes the machine)` : summary,
    ]),
  );
}

function explain({ syntax, summary, help, sample }: MonitorCommand): string {
  const indented = sample
    .split('\n')
    .map((line) => `    ${line}`.trimEnd())
    .join('\n');
  return `${syntax}: ${summary}\n${help}\n${indented}`;
}
