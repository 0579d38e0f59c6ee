/**
 * `jit`: what the block engine has compiled.
 */
import type { JitReport } from '../../machine/index.ts';
import { defineMonitorCommand, expectArguments } from './monitor-command.ts';

/** The rest are summed up. */
const LINES = 20;

export const jitCommand = defineMonitorCommand({
  name: 'jit',
  syntax: 'jit',
  access: 'look',
  summary: 'what the block engine has compiled',
  help: `The ${LINES} busiest regions: a hit is a sample, taken every few thousand instructions, that
found control there. Physical addresses tell regions of the same linear address apart.`,
  sample: `2 regions, 10 KiB of WebAssembly, 1 evicted; 11474 samples, 14.4 ms compiling (at most 7.2)
linear             physical     instructions  entries  bytes  hits
ffffffff80102000     102000              137       12   5023  9410`,
  run({ machine }, args) {
    expectArguments(this, args, 0);
    const report = machine.describeJit?.();
    if (report === undefined) return 'the block engine is not in use';
    return [summary(report), ...table(report)].join('\n');
  },
});

function summary(report: JitReport): string {
  const { regions, codeBytes, evicted, samples, compileMs, longestCompileMs } = report;
  const size = `${regions.length} regions, ${Math.ceil(codeBytes / 1024)} KiB of WebAssembly`;
  const time =
    compileMs === undefined || longestCompileMs === undefined
      ? ''
      : `, ${compileMs.toFixed(1)} ms compiling (at most ${longestCompileMs.toFixed(1)})`;
  return `${size}, ${evicted} evicted; ${samples} samples${time}`;
}

function table({ regions }: JitReport): string[] {
  if (regions.length === 0) return [];
  const busiest = [...regions].sort((left, right) => right.hits - left.hits);
  const lines = busiest
    .slice(0, LINES)
    .map((region) =>
      [
        region.linear.toString(16).padStart(16),
        region.physical.toString(16).padStart(10),
        String(region.instructions).padStart(16),
        String(region.entries).padStart(8),
        String(region.codeBytes).padStart(6),
        String(region.hits).padStart(5),
      ].join(' '),
    );
  const rest = busiest.length - lines.length;
  const heading = 'linear             physical     instructions  entries  bytes  hits';
  return [heading, ...lines, ...(rest > 0 ? [`and ${rest} more`] : [])];
}
