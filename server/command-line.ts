/** The table of commands and options. Each command's file knows what it does. */
import yargs from 'yargs';
import { ImageError } from '../machine/index.ts';
import { EXIT } from './commands/exit-status.ts';
import { init, INIT_EXAMPLES, initOptions } from './commands/init.ts';
import { monitor, MONITOR_EXAMPLES, monitorOptions } from './commands/monitor.ts';
import { proxy, PROXY_EXAMPLES, proxyOptions } from './commands/proxy.ts';
import { run, RUN_EXAMPLES, runOptions } from './commands/run.ts';
import { sessions, sessionsOptions } from './commands/sessions.ts';
import { serve, SERVE_EXAMPLES, serveOptions } from './commands/serve.ts';
import { snapshot, SNAPSHOT_EXAMPLES, snapshotOptions } from './commands/snapshot.ts';
import { UsageError } from './listen-address.ts';
import { ListenError } from './listener.ts';
import { VERSION } from './package-root.ts';

const EPILOGUE = `Exit status: ${EXIT.success} success, ${EXIT.failure} failure, ${EXIT.usage} wrong use, \
${EXIT.image} bad image; of run: what the guest wrote to the debug-exit port, or ${EXIT.tripleFault} \
triple fault, ${EXIT.instructionLimit} --max-instructions reached, ${EXIT.idleForGood} halted for good, \
${EXIT.reset} reset.`;

/** Runs one command line (without node and script); resolves with the exit status. */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  let status: number = EXIT.success;
  const parser = yargs(withMonitorHelp(words))
    .scriptName('exoscope')
    .usage('$0 COMMAND: debug x86-64 kernels on an emulated PC, with gdb or lldb')
    .command(
      'serve [image]',
      'Boot a kernel and let debuggers attach',
      (builder) => serveOptions(builder).example(SERVE_EXAMPLES),
      async (options) => {
        status = await serve(options);
      },
    )
    .command(
      'run [image]',
      'Boot a kernel without a debugger and end with its status',
      (builder) => runOptions(builder).example(RUN_EXAMPLES),
      async (options) => {
        status = await run(options);
      },
    )
    .command(
      'snapshot [image]',
      'Boot a kernel up to a place and write the machine into a file',
      (builder) => snapshotOptions(builder).example(SNAPSHOT_EXAMPLES),
      async (options) => {
        status = await snapshot(options);
      },
    )
    .command(
      'monitor <command..>',
      'Send a monitor command to a running server',
      (builder) => monitorOptions(builder).example(MONITOR_EXAMPLES),
      async (options) => {
        status = await monitor(options);
      },
    )
    .command(
      'sessions',
      'List the machines of a server with --sessions',
      (builder) => sessionsOptions(builder),
      async (options) => {
        status = await sessions(options);
      },
    )
    .command(
      'proxy <stub>',
      'Stand before an existing stub and add the threads of its guest',
      (builder) => proxyOptions(builder).example(PROXY_EXAMPLES),
      async (options) => {
        status = await proxy(options);
      },
    )
    .command(
      'init <editor>',
      "Write an editor's configuration into this folder",
      (builder) => initOptions(builder).example(INIT_EXAMPLES),
      (options) => {
        status = init(options);
      },
    )
    .demandCommand(1, 'Name a command: serve, run, snapshot, monitor, sessions, proxy or init')
    .strict()
    .version(VERSION)
    .help()
    .epilogue(EPILOGUE)
    .exitProcess(false)
    .wrap(Math.min(100, process.stdout.columns || 100))
    .fail((message: string | undefined, error: Error | undefined) => {
      throw error ?? new UsageError(message ?? 'wrong use');
    });
  try {
    await parser.parseAsync();
    return status;
  } catch (error) {
    return explain(error);
  }
}

/**
 * yargs takes a last word `help` for its own help command; `exoscope monitor help` is the server's. With
 * a blank behind it yargs does not know the word, and the server does not mind.
 */
function withMonitorHelp(words: readonly string[]): string[] {
  const isMonitor = words[0] === 'monitor';
  return words.map((word) => (isMonitor && word === 'help' ? 'help ' : word));
}

/** One clear line for what the user can mend; anything else is a bug and keeps its stack. */
function explain(error: unknown): number {
  // yargs throws its own for an option whose argument is missing.
  if (error instanceof UsageError || (error instanceof Error && error.name === 'YError')) {
    process.stderr.write(`exoscope: ${error.message}\nexoscope --help tells all options.\n`);
    return EXIT.usage;
  }
  if (error instanceof ImageError) {
    process.stderr.write(`exoscope: ${error.message}\n`);
    return EXIT.image;
  }
  if (error instanceof ListenError) {
    process.stderr.write(`exoscope: ${error.message}\n`);
    return EXIT.failure;
  }
  throw error;
}
