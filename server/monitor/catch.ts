/** `catch EXCEPTION on|off`: stop before an exception is delivered, where it is raised. */
import { exceptionName, exceptionShortName } from '../target/exception-text.ts';
import { MonitorError, defineMonitorCommand, expectArguments } from './monitor-command.ts';

/** Faults, and the double fault: what an instruction raises again when it is executed again. */
const CATCHABLE = [0, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 19] as const;

export const catchCommand = defineMonitorCommand({
  name: 'catch',
  syntax: 'catch [EXCEPTION on|off]',
  access: 'control',
  looksWithoutArguments: true,
  summary: 'stop before an exception is delivered: `catch gp on`; alone it lists what is caught',
  help: [
    `EXCEPTION is one of ${CATCHABLE.map(exceptionShortName).join(' ')}, or triple, which always stops.`,
    'The stop is at the instruction that raised it, in the state before the delivery: `why` explains,',
    'stepi enters the handler, continue lets the guest handle it. Catches stay until they are switched',
    'off, also without a debugger. A fault met while an external interrupt is delivered is not caught.',
  ].join('\n'),
  sample: '#GP general protection is caught',
  run({ catches }, args) {
    expectArguments(this, args, 2);
    if (catches === undefined) throw new MonitorError('this machine catches no exceptions');
    const [name, state] = args;
    if (name === undefined) return listOf(catches.vectors);
    if (state !== 'on' && state !== 'off') throw new MonitorError(`usage: ${this.syntax}`);
    const isOn = state === 'on';
    if (name.toLowerCase() === 'triple') return tripleAnswer(isOn);
    const vector = parseException(name);
    catches.set(vector, isOn);
    return `${exceptionName(vector)} is ${isOn ? 'caught' : 'not caught'}`;
  },
});

function listOf(vectors: readonly number[]): string {
  const names = vectors.map((vector) => exceptionName(vector));
  return [...names, 'triple fault (always)'].join('\n');
}

function tripleAnswer(isOn: boolean): string {
  if (!isOn) throw new MonitorError('a triple fault always stops: the CPU cannot go on behind it');
  return 'a triple fault always stops';
}

function parseException(name: string): number {
  const wanted = name.replace(/^#/, '').toLowerCase();
  const vector = CATCHABLE.find((candidate) => exceptionShortName(candidate) === wanted);
  if (vector !== undefined) return vector;
  const names = CATCHABLE.map(exceptionShortName).join(' ');
  throw new MonitorError(`"${name}" is no exception that can be caught: ${names}`);
}
