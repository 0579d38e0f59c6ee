/**
 * The image's own symbols, in the server: by name, and by address as `symbol+offset`. Built from
 * .symtab of an ELF file (System V ABI, chapter 4, "Symbol Table"); a file without one gives an
 * empty table. Nothing here trusts the file: see `readElf`.
 */
import { printable } from '../printable.ts';
import { type ElfFile, type ElfSection, SECTION_TYPE, stringAt } from './elf-file.ts';

export interface ElfSymbol {
  readonly name: string;
  readonly address: bigint;
  /** 0 when the symbol has no size (assembly labels). */
  readonly size: bigint;
  readonly isFunction: boolean;
  /** A number that has a name, such as the place of a per-CPU variable in its area: no address is in it. */
  readonly isConstant?: boolean;
}

export interface SymbolPlace {
  readonly symbol: ElfSymbol;
  /** Bytes from the symbol's address. */
  readonly offset: bigint;
}

const MAXIMUM_SYMBOLS = 1_000_000;
/** All names together; the largest kernels have 10 MB of them. Hostile names may overlap. */
const MAXIMUM_NAME_CHARACTERS = 64 << 20;
/** SHN_LORESERVE: SHN_ABS and the like are constants, not places. */
const RESERVED_SECTIONS = 0xff00;
const TYPE = { none: 0, object: 1, function: 2 } as const;

/** How far behind a symbol without size an address still counts as its own. */
const UNSIZED_REACH = 0x1000n;

export class SymbolTable {
  /** As they were given: the first of a name is the one that `find` gives. */
  readonly #given: readonly ElfSymbol[];
  /** Ascending by address; of several names for one place the preferred one comes last. */
  readonly #sorted: readonly ElfSymbol[];
  readonly #byName = new Map<string, ElfSymbol>();

  constructor(given: readonly ElfSymbol[]) {
    const symbols = given.map(withPrintableName);
    this.#given = symbols;
    this.#sorted = symbols.filter(({ isConstant }) => isConstant !== true).sort(compareSymbols);
    for (const symbol of symbols) {
      if (!this.#byName.has(symbol.name)) this.#byName.set(symbol.name, symbol);
    }
  }

  /** The symbols of an image; empty for what is not an ELF file or is stripped. */
  static fromElf(file: ElfFile | undefined): SymbolTable {
    const table = file?.sections.find((section) => section.type === SECTION_TYPE.symbolTable);
    if (file === undefined || table === undefined) return new SymbolTable([]);
    const names = file.sections[table.link]?.content ?? new Uint8Array();
    return new SymbolTable(readSymbols(table, names, file.is64Bit));
  }

  /** Several tables as one: of several symbols with a name the first table's is found. */
  static joined(tables: readonly SymbolTable[]): SymbolTable {
    const [only, ...others] = tables;
    if (only !== undefined && others.length === 0) return only;
    return new SymbolTable(tables.flatMap((table) => [...table.#given]));
  }

  /** Every symbol this many bytes higher, modulo 2^64. */
  movedBy(offset: bigint): SymbolTable {
    if (offset === 0n) return this;
    const moved = this.#given.map((symbol) => ({
      ...symbol,
      address:
        symbol.isConstant === true ? symbol.address : BigInt.asUintN(64, symbol.address + offset),
    }));
    return new SymbolTable(moved);
  }

  get size(): number {
    return this.#sorted.length;
  }

  find(name: string): ElfSymbol | undefined {
    return this.#byName.get(name);
  }

  /** The symbol that covers an address; `undefined` where none does. */
  at(address: bigint): SymbolPlace | undefined {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sorted[middle]!.address <= address) low = middle + 1;
      else high = middle;
    }
    const symbol = this.#sorted[low - 1];
    if (symbol === undefined) return undefined;
    const offset = address - symbol.address;
    const reach = symbol.size === 0n ? UNSIZED_REACH : symbol.size;
    return offset < reach ? { symbol, offset } : undefined;
  }

  /** `sys_fork+12`, `sys_fork` at its start, or an empty string. Offsets are decimal, as in gdb. */
  describe(address: bigint): string {
    const place = this.at(address);
    if (place === undefined) return '';
    return place.offset === 0n ? place.symbol.name : `${place.symbol.name}+${place.offset}`;
  }

  /**
   * The same for a return address: a call that ends its function returns to the next symbol's
   * first byte, so the byte before decides to which function it belongs.
   */
  describeReturn(address: bigint): string {
    const place = this.at(address - 1n);
    return place === undefined
      ? this.describe(address)
      : `${place.symbol.name}+${place.offset + 1n}`;
  }
}

/** What names it is shown on the user's terminal, and need not be of the user's making. */
function withPrintableName(symbol: ElfSymbol): ElfSymbol {
  const name = printable(symbol.name);
  return name === symbol.name ? symbol : { ...symbol, name };
}

/** Functions, sized symbols and shorter names win over other names for the same address. */
function compareSymbols(left: ElfSymbol, right: ElfSymbol): number {
  if (left.address !== right.address) return left.address < right.address ? -1 : 1;
  if (left.isFunction !== right.isFunction) return left.isFunction ? 1 : -1;
  const isSized = Number(left.size > 0n) - Number(right.size > 0n);
  return isSized === 0 ? right.name.length - left.name.length : isSized;
}

function readSymbols(table: ElfSection, names: Uint8Array, is64Bit: boolean): ElfSymbol[] {
  const entryBytes = is64Bit ? 24 : 16;
  const count = Math.min(Math.floor(table.content.length / entryBytes), MAXIMUM_SYMBOLS);
  const { buffer, byteOffset } = table.content;
  const view = new DataView(buffer, byteOffset, count * entryBytes);
  const symbols: ElfSymbol[] = [];
  let charactersLeft = MAXIMUM_NAME_CHARACTERS;
  for (let index = 1; index < count && charactersLeft > 0; index++) {
    const symbol = readSymbol(view, index * entryBytes, names, is64Bit);
    if (symbol === undefined) continue;
    symbols.push(symbol);
    charactersLeft -= symbol.name.length;
  }
  return symbols;
}

function readSymbol(
  view: DataView,
  start: number,
  names: Uint8Array,
  is64Bit: boolean,
): ElfSymbol | undefined {
  const info = view.getUint8(start + (is64Bit ? 4 : 12));
  const section = view.getUint16(start + (is64Bit ? 6 : 14), true);
  const type = info & 15;
  const name = stringAt(names, view.getUint32(start, true));
  const isWanted = type === TYPE.none || type === TYPE.object || type === TYPE.function;
  if (!isWanted || section === 0 || section >= RESERVED_SECTIONS || name === '') return undefined;
  return {
    name,
    address: is64Bit ? view.getBigUint64(start + 8, true) : BigInt(view.getUint32(start + 4, true)),
    size: is64Bit ? view.getBigUint64(start + 16, true) : BigInt(view.getUint32(start + 8, true)),
    isFunction: type === TYPE.function,
  };
}
