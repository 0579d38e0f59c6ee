/**
 * Exo's lists and structures, read through the offsets of the descriptor: bounded, cycle-safe.
 */
import { type Walk, readExactly, readU64 } from '../walk.ts';
import { StructureFields } from '../structure-fields.ts';

/** A kernel with more elements than this in a list is taken for a corrupt one. */
const MAXIMUM_ELEMENTS = 4096;

export interface ListLayout {
  readonly head_address: bigint;
  readonly size: number;
  readonly next_offset: number;
}

export interface ListElement {
  readonly address: bigint;
  readonly fields: StructureFields;
}

/**
 * All elements of a list in its own order. `complain` gets a line for whatever ends the walk early;
 * a head that is not mapped is no complaint: the kernel has not come that far.
 */
export function* walkList(
  what: string,
  layout: ListLayout,
  complain: (line: string) => void,
): Walk<ListElement[]> {
  const elements: ListElement[] = [];
  const seen = new Set<bigint>();
  let address = (yield* readU64(layout.head_address)) ?? 0n;
  while (address !== 0n) {
    const problem = seen.has(address) ? 'appears twice: the list is circular' : tooMany(seen.size);
    const view = problem === undefined ? yield* readExactly(address, layout.size) : undefined;
    if (view === undefined) {
      complain(`${what} list: 0x${address.toString(16)} ${problem ?? 'is not mapped'}`);
      break;
    }
    seen.add(address);
    const fields = new StructureFields(view);
    elements.push({ address, fields });
    address = fields.u64(layout.next_offset);
  }
  return elements;
}

function tooMany(count: number): string | undefined {
  return count < MAXIMUM_ELEMENTS
    ? undefined
    : `and what follows is left out: more than ${MAXIMUM_ELEMENTS} elements`;
}
