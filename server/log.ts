/**
 * Logs go to stderr: readable lines on a terminal, JSON lines otherwise. The packet trace is a logger
 * of its own per connection, so that it can be had without everything else.
 */
import { destination, pino, type Logger } from 'pino';
import pretty from 'pino-pretty';

export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Logs {
  readonly main: Logger;
  /** For one connection; its `trace` is the packet trace. */
  forConnection(connection: number): Logger;
}

/** Written synchronously: what was logged is there, however the process ends. */
export function openLogs(level: LogLevel, tracesPackets: boolean): Logs {
  const stream = process.stderr.isTTY
    ? pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l' })
    : destination({ dest: 2, sync: true });
  const main = pino({ level, base: null }, stream);
  return {
    main,
    forConnection: (connection) =>
      main.child({ connection }, tracesPackets ? { level: 'trace' } : {}),
  };
}
