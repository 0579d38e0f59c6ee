/**
 * A list of symbols as `nm` prints it and Linux keeps it (System.map, /proc/kallsyms): for an image whose
 * ELF symbols are lost. Sizes are not in it: a symbol reaches to the next one.
 *
 *     ffffffff81000000 T _text
 */
import { type ElfSymbol, SymbolTable } from './symbol-table.ts';

const LINE = /^([0-9a-f]{8,16}) ([A-Za-z]) ([^\s]{1,4096})(?:\s+\[[^\]]{1,256}\])?$/;
const MAXIMUM_SYMBOLS = 1_000_000;
/** The System.map of a large kernel has 10 MB. */
const MAXIMUM_BYTES = 64 << 20;
/** A gap longer than this is between areas, not inside a symbol. */
const MOST_REACH = 1n << 20n;

export interface NameList {
  readonly symbols: SymbolTable;
  /** Where the lowest function is. */
  readonly textAddress: bigint;
}

/** Undefined: it is no such list. */
export function readNameList(bytes: Uint8Array): NameList | undefined {
  if (bytes.length > MAXIMUM_BYTES || !/^[0-9a-f]{8,16} /.test(latin1(bytes.subarray(0, 17)))) {
    return undefined;
  }
  const symbols: ElfSymbol[] = [];
  for (const line of latin1(bytes).split(/\r?\n/)) {
    if (line === '') continue;
    const symbol = readLine(line);
    if (symbol === undefined || symbols.length >= MAXIMUM_SYMBOLS) return undefined;
    if (symbol !== 'no place') symbols.push(symbol);
  }
  const functions = symbols.filter(({ isFunction }) => isFunction);
  const addresses = functions.map(({ address }) => address);
  const textAddress = addresses.reduce(
    (least, at) => (at < least ? at : least),
    addresses[0] ?? 0n,
  );
  return { symbols: new SymbolTable(withReach(symbols)), textAddress };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** Undefined symbols are no places. */
function readLine(line: string): ElfSymbol | 'no place' | undefined {
  const match = LINE.exec(line);
  if (match === null) return undefined;
  const [, digits, type, name] = match;
  if (type === 'U') return 'no place';
  const isFunction = 'tTwW'.includes(type!);
  const isConstant = 'Aa'.includes(type!);
  return { name: name!, address: BigInt(`0x${digits!}`), size: 0n, isFunction, isConstant };
}

function withReach(symbols: readonly ElfSymbol[]): ElfSymbol[] {
  const places = symbols.filter(({ isConstant }) => isConstant !== true);
  const addresses = [...new Set(places.map(({ address }) => address))];
  addresses.sort((left, right) => (left < right ? -1 : 1));
  const next = new Map(addresses.map((address, index) => [address, addresses[index + 1]]));
  return symbols.map((symbol) => {
    if (symbol.isConstant === true) return symbol;
    const end = next.get(symbol.address);
    const reach = end === undefined ? MOST_REACH : end - symbol.address;
    return reach < MOST_REACH ? { ...symbol, size: reach } : symbol;
  });
}
