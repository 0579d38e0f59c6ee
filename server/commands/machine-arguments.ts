/** What `serve` and `run` have in common: the image and the PC that boots it. */
import type { Argv } from 'yargs';
import { DEFAULT_ENGINE, type EngineKind } from '../../machine/index.ts';
import { UsageError } from '../listen-address.ts';
import { DEFAULT_IMAGE } from '../package-root.ts';

/** RAM unless --memory says otherwise. */
export const DEFAULT_MEMORY = '256M';

export interface MachineArguments {
  readonly image: string;
  /** Undefined: as is usual, or as the snapshot has it. */
  readonly memory?: string | undefined;
  readonly append?: string | undefined;
  /** FILE, or FILE and its command line, as in GRUB's menu. */
  readonly module: readonly string[];
  readonly engine: EngineKind;
  readonly symbols: readonly string[];
}

/** Adds IMAGE and the machine's options to a command. */
export function machineArguments<Arguments>(parser: Argv<Arguments>) {
  return parser
    .positional('image', {
      type: 'string',
      describe:
        'Kernel to boot, an ELF with a Multiboot, Multiboot 2 or PVH header, or a Linux bzImage; or a snapshot to go on from',
      default: DEFAULT_IMAGE,
      defaultDescription: 'kernel/images/kernel.elf',
    })
    .option('memory', {
      type: 'string',
      describe: 'RAM of the guest, from 2M to 2G',
      defaultDescription: `${DEFAULT_MEMORY}, or what the snapshot has`,
      requiresArg: true,
    })
    .option('append', {
      type: 'string',
      describe: 'Command line of the kernel',
      requiresArg: true,
    })
    .option('module', {
      alias: 'initrd',
      type: 'string',
      describe:
        "A boot module (initrd) and its command line, quoted: 'FILE ARGUMENTS'; may be repeated",
      requiresArg: true,
      coerce: manyWords,
      default: [] as never,
    })
    .option('engine', {
      describe: 'block compiles hot code, step goes instruction by instruction',
      choices: ['step', 'block'] as const satisfies readonly EngineKind[],
      default: DEFAULT_ENGINE,
      requiresArg: true,
    })
    .option('symbols', {
      type: 'string',
      describe:
        'More symbols, of an ELF file or as nm lists them: FILE[@TEXT-ADDRESS], FILE[@+OFFSET]',
      defaultDescription: "the image's own",
      requiresArg: true,
      coerce: manyWords,
      default: [] as never,
    });
}

/** An option that may be repeated, one word each: an array option of yargs would take the image's name too. */
function manyWords(given: string | readonly string[]): readonly string[] {
  return [given].flat();
}

const UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** `256M`, `1G`, `524288K` or plain bytes. Throws `UsageError`. */
export function parseMemory(text: string): number {
  const match = /^(\d{1,12})([KMG]?)$/i.exec(text);
  const bytes = Number(match?.[1]) * (UNITS[(match?.[2] ?? '').toUpperCase()] ?? 1);
  if (match === null || bytes < 2 * 2 ** 20 || bytes > 2 ** 31 || bytes % 2 ** 20 !== 0) {
    throw new UsageError(`--memory ${text}: whole megabytes from 2M to 2G expected`);
  }
  return bytes;
}
