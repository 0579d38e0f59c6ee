/** `exoscope init EDITOR`: writes an editor's configuration into the current folder. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { Argv } from 'yargs';
import type { EditorSetup } from '../editors/editor.ts';
import { EDITORS } from '../editors/index.ts';
import { formatAddress, parseAddress, UsageError } from '../listen-address.ts';
import { DEFAULT_IMAGE } from '../package-root.ts';
import { EXIT } from './exit-status.ts';

export const INIT_EXAMPLES: readonly [string, string][] = [
  ['$0 init vscode', '.vscode/launch.json that attaches to 127.0.0.1:1234'],
  ['$0 init neovim --image build/kernel.elf --connect 127.0.0.1:4000', 'your own kernel'],
];

export function initOptions<Arguments>(parser: Argv<Arguments>) {
  return parser
    .positional('editor', {
      choices: EDITORS.map(({ name }) => name),
      demandOption: true,
      describe: 'Whose configuration to write',
    })
    .option('connect', {
      type: 'string',
      describe: 'HOST:PORT where the server will listen',
      default: '127.0.0.1:1234',
      requiresArg: true,
    })
    .option('image', {
      type: 'string',
      describe: "The kernel's ELF, for the debugger's symbols",
      default: DEFAULT_IMAGE,
      defaultDescription: 'kernel/images/kernel.elf',
      requiresArg: true,
    })
    .option('force', {
      type: 'boolean',
      describe: 'Replace files that are there already',
      default: false,
    });
}

export interface InitArguments {
  readonly editor: string;
  readonly connect: string;
  readonly image: string;
  readonly force: boolean;
}

/** Writes all files or none. Throws `UsageError` for what is there already. */
export function init(
  options: InitArguments,
  folder = process.cwd(),
  print = (line: string): unknown => process.stdout.write(line),
): number {
  const editor = EDITORS.find(({ name }) => name === options.editor);
  if (editor === undefined) throw new UsageError(`no editor '${options.editor}' is known`);
  const files = editor.files(setupOf(options, folder));
  const present = files.find(({ path }) => existsSync(join(folder, path)));
  if (present !== undefined && !options.force) {
    throw new UsageError(`${present.path} is there already: --force replaces it`);
  }
  for (const { path, content } of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
    print(`wrote ${path}\n`);
  }
  print(`needs ${editor.needs}\n`);
  return EXIT.success;
}

function setupOf({ connect, image }: InitArguments, folder: string): EditorSetup {
  const address = parseAddress(connect);
  if (address.kind !== 'tcp') throw new UsageError(`--connect ${connect}: editors want HOST:PORT`);
  const absolute = resolve(folder, image);
  const inside = relative(folder, absolute);
  const isOutside = inside.startsWith('..') || isAbsolute(inside);
  return {
    host: address.host,
    port: address.port,
    address: formatAddress(address),
    // Editors take forward slashes on every system.
    image: (isOutside ? absolute : inside).replaceAll('\\', '/'),
  };
}
