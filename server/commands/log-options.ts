/** What the commands that serve log: options of the command line. */
import { LOG_LEVELS } from '../log.ts';

export const LOG_OPTIONS = {
  'log-level': {
    choices: LOG_LEVELS,
    describe: 'What to log on stderr',
    default: 'info',
  },
  'trace-packets': {
    type: 'boolean',
    describe: 'Log every packet',
    default: false,
  },
} as const;
