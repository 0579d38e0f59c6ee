/** How a long run goes: its speed and what it holds, told from time to time and compared at its end. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const MIB = 1 << 20;
/** What a long run may hold at its end beyond what it held when warm. */
const MOST_GROWTH_BYTES = 64 * MIB;

export class Progress {
  private readonly inputsPerReport: number;
  private start = performance.now();
  private warmHeapBytes = 0;

  constructor(inputsPerReport: number) {
    this.inputsPerReport = inputsPerReport;
  }

  /** To be called after each input: says once in a while how fast the last of them were. */
  done(count: number, behaviours: number): void {
    if (count % this.inputsPerReport !== 0) return;
    const now = performance.now();
    const perSecond = Math.round((1000 * this.inputsPerReport) / (now - this.start));
    this.start = now;
    this.warmHeapBytes ||= heldBytes();
    const { heapUsed, rss } = process.memoryUsage();
    process.stderr.write(
      `${count} inputs, ${perSecond}/s, ${behaviours} behaviours, ` +
        `heap ${Math.round(heapUsed / MIB)} MiB, rss ${Math.round(rss / MIB)} MiB\n`,
    );
  }

  /** Whether a run that is at its end holds about what it held at the first report. */
  isLevel(): boolean {
    return this.warmHeapBytes === 0 || heldBytes() - this.warmHeapBytes < MOST_GROWTH_BYTES;
  }
}

/** What the heap holds once its garbage, up to 200 MiB of it, is gone. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}
