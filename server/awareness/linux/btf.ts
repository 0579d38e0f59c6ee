/**
 * BTF, the types of a Linux kernel that its image carries also when it is stripped (Linux,
 * Documentation/bpf/btf.rst): where the members of its structures lie.
 */
import { stringAt } from '../../symbols/elf-file.ts';

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
const TYPE_BYTES = 12;
const MEMBER_BYTES = 12;
const KIND = { array: 3, struct: 4, union: 5, typedef: 8, volatile: 9, const: 10, restrict: 11, typeTag: 18 } as const; // prettier-ignore
/** Bytes behind a type of each kind: fixed ones, and those for each of its `vlen` parts. */
const TAIL = new Map<number, readonly [fixed: number, each: number]>([
  [1, [4, 0]],
  [KIND.array, [12, 0]],
  [KIND.struct, [0, MEMBER_BYTES]],
  [KIND.union, [0, MEMBER_BYTES]],
  [6, [0, 8]],
  [13, [0, 8]],
  [14, [4, 0]],
  [15, [0, 12]],
  [17, [4, 0]],
  [19, [0, 12]],
]);
const ALIASES: readonly number[] = [KIND.typedef, KIND.volatile, KIND.const, KIND.restrict, KIND.typeTag]; // prettier-ignore
/** Typedefs of typedefs, and structures without a name in each other: more is a circle. */
const DEEPEST = 16;
/** Looked at for one offset: `struct task_struct` has some hundreds. */
const MOST_MEMBERS = 100_000;
/** A debug build's `struct task_struct` has 16 KiB; who reads it reads all of it. */
const LARGEST_STRUCTURE = 1 << 15;
/** Those that are wanted are shorter. */
const LONGEST_NAME = 128;

interface Composite {
  readonly at: number;
  readonly members: number;
  /** Offsets are of 24 bits below the size of a bit field. */
  readonly hasBitFields: boolean;
}

/** Structures within each other can be more than anybody has time for. */
interface Search {
  /** How many members may still be looked at. */
  left: number;
}

export class BtfTypes {
  readonly #view: DataView;
  readonly #strings: Uint8Array;
  /** Where each type lies, by its number; 0 is void. */
  readonly #types: readonly number[];
  readonly #structures = new Map<string, Composite>();

  private constructor(view: DataView, strings: Uint8Array, types: readonly number[]) {
    this.#view = view;
    this.#strings = strings;
    this.#types = types;
    for (const at of types) {
      if (at === 0 || this.#kind(at) !== KIND.struct) continue;
      const name = this.#text(view.getUint32(at, true));
      if (name !== '' && !this.#structures.has(name)) {
        this.#structures.set(name, this.#composite(at));
      }
    }
  }

  /** Undefined for what is not BTF; of damaged BTF what is before the damage. */
  static read(section: Uint8Array): BtfTypes | undefined {
    const { buffer, byteOffset, length } = section;
    const view = new DataView(buffer, byteOffset, length);
    if (length < HEADER_BYTES || view.getUint16(0, true) !== MAGIC) return undefined;
    const [headerBytes, typesAt, typesBytes, stringsAt, stringsBytes] = [4, 8, 12, 16, 20].map(
      (offset) => view.getUint32(offset, true),
    ) as [number, number, number, number, number];
    const end = Math.min(length, headerBytes + typesAt + typesBytes);
    const types = [0];
    for (let at = headerBytes + typesAt; at + TYPE_BYTES <= end;) {
      const info = view.getUint32(at + 4, true);
      const [fixed, each] = TAIL.get((info >>> 24) & 0x1f) ?? [0, 0];
      const next = at + TYPE_BYTES + fixed + each * (info & 0xffff);
      if (next > end) break;
      types.push(at);
      at = next;
    }
    const first = headerBytes + stringsAt;
    return new BtfTypes(view, section.subarray(first, first + stringsBytes), types);
  }

  /**
   * Bytes from the beginning of a structure to a member, which may be a member's member. Undefined: it
   * has none of that name, or it is a bit field.
   */
  offsetOf(structure: string, ...path: readonly string[]): number | undefined {
    let composite = this.#structures.get(structure);
    let offset = 0;
    const search = { left: MOST_MEMBERS };
    for (const name of path) {
      const member = composite && this.#member(composite, name, DEEPEST, search);
      if (member === undefined) return undefined;
      offset += member.offset;
      composite = this.#compositeOf(member.type);
    }
    return offset < LARGEST_STRUCTURE ? offset : undefined;
  }

  #member(
    { at, members, hasBitFields }: Composite,
    name: string,
    depth: number,
    search: Search,
  ): { readonly offset: number; readonly type: number } | undefined {
    for (let index = 0; index < members && search.left > 0; index++) {
      search.left--;
      const entry = at + TYPE_BYTES + MEMBER_BYTES * index;
      const [nameAt, type, place] = [0, 4, 8].map((field) =>
        this.#view.getUint32(entry + field, true),
      ) as [number, number, number];
      const bits = hasBitFields ? place & 0xff_ffff : place;
      const own = this.#text(nameAt);
      if (own === name) return bits % 8 === 0 ? { offset: bits / 8, type } : undefined;
      const inner = own === '' && depth > 0 ? this.#compositeOf(type) : undefined;
      const found = inner && this.#member(inner, name, depth - 1, search);
      if (found === undefined) continue;
      return bits % 8 === 0 ? { offset: bits / 8 + found.offset, type: found.type } : undefined;
    }
    return undefined;
  }

  #compositeOf(type: number): Composite | undefined {
    let at = this.#types[type] ?? 0;
    for (let depth = 0; depth < DEEPEST && at !== 0; depth++) {
      const kind = this.#kind(at);
      if (kind === KIND.struct || kind === KIND.union) return this.#composite(at);
      if (!ALIASES.includes(kind)) return undefined;
      at = this.#types[this.#view.getUint32(at + 8, true)] ?? 0;
    }
    return undefined;
  }

  #composite(at: number): Composite {
    const info = this.#view.getUint32(at + 4, true);
    return { at, members: info & 0xffff, hasBitFields: info >>> 31 === 1 };
  }

  #kind(at: number): number {
    return (this.#view.getUint32(at + 4, true) >>> 24) & 0x1f;
  }

  #text(offset: number): string {
    return stringAt(this.#strings.subarray(offset, offset + LONGEST_NAME), 0);
  }
}
