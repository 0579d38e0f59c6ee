/**
 * Logs go to stderr: readable lines on a terminal, JSON lines otherwise. The packet trace is a logger
 * of its own per connection, so that it can be had without everything else.
 */
import { destination, pino, type Logger } from 'pino';

export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Logs {
  readonly main: Logger;
  /** For one connection or session; its `trace` is the packet trace. */
  forConnection(number: number, kind?: 'connection' | 'session'): Logger;
}

/** Written synchronously: what was logged is there, however the process ends. */
export async function openLogs(level: LogLevel, tracesPackets: boolean): Promise<Logs> {
  const stream = process.stderr.isTTY ? await prettyStream() : destination({ dest: 2, sync: true });
  const main = pino({ level, base: null }, stream);
  return {
    main,
    forConnection: (number, kind = 'connection') =>
      main.child({ [kind]: number }, tracesPackets ? { level: 'trace' } : {}),
  };
}

/** Loaded only for a terminal: it is a third of what the server loads. */
async function prettyStream() {
  const { default: pretty } = await import('pino-pretty');
  return pretty({
    destination: 2,
    sync: true,
    ignore: 'pid,hostname',
    translateTime: 'HH:MM:ss.l',
  });
}
