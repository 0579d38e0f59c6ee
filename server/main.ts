#!/usr/bin/env node
import { runCommandLine } from './command-line.ts';

// Whoever read what is said may go, as `| head` does: nothing ends by that, unless it says so itself.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

process.exitCode = await runCommandLine(process.argv.slice(2));
