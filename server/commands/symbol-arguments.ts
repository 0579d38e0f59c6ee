/** `--symbols FILE[@BASE]`: see `server/symbols/symbol-file.ts` for what BASE means. */
import { ImageError } from '../../machine/index.ts';
import { UsageError } from '../listen-address.ts';
import { readSymbolFile, type SymbolFile, type SymbolPlacement } from '../symbols/symbol-file.ts';
import { readWholeFile } from './read-whole-file.ts';

/** What one word named, as bytes: it can be handed to another process. */
export interface SymbolArgument {
  readonly path: string;
  readonly placement: SymbolPlacement;
  readonly content: Uint8Array;
}

/** Throws `UsageError` for a bad BASE, `ImageError` for a bad file: one line each. */
export function readSymbolFiles(words: readonly string[]): SymbolFile[] {
  return loadSymbolArguments(words).map(toSymbolFile);
}

/** Throws `UsageError` for a bad BASE, `ImageError` for a file that cannot be read. */
export function loadSymbolArguments(words: readonly string[]): SymbolArgument[] {
  return words.map((word) => {
    const argument = parseSymbolArgument(word);
    return { ...argument, content: readWholeFile(argument.path, 'symbol file') };
  });
}

/** Throws `ImageError` for a file without symbols. */
export function toSymbolFile({ path, placement, content }: SymbolArgument): SymbolFile {
  const file = readSymbolFile(path, content, placement);
  if (typeof file !== 'string') return file;
  throw new ImageError(`symbol file '${path}': ${file}`);
}

/** The file's name ends at the last `@`. Throws `UsageError`. */
export function parseSymbolArgument(word: string): {
  readonly path: string;
  readonly placement: SymbolPlacement;
} {
  const at = word.lastIndexOf('@');
  const path = at < 0 ? word : word.slice(0, at);
  if (path === '') throw new UsageError(`--symbols ${word}: a file's name is missing`);
  return { path, placement: at < 0 ? { kind: 'as linked' } : parseBase(word, word.slice(at + 1)) };
}

function parseBase(word: string, base: string): SymbolPlacement {
  const match = /^([+-]?)(0x[0-9a-f]+|\d+)$/i.exec(base);
  const value = BigInt(match?.[2] ?? 0);
  if (match === null || value >= 1n << 64n) {
    throw new UsageError(
      `--symbols ${word}: behind @ stands the address of .text, or + or - and an offset`,
    );
  }
  const [, sign] = match;
  if (sign === '') return { kind: 'text at', address: value };
  return { kind: 'moved by', offset: sign === '-' ? -value : value };
}
