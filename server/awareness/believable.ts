/** What of a guest's lists can be shown; what cannot is complained of, in a line for the user. */
import { type GuestThread, MOST_TID } from './awareness.ts';

/** Whether debuggers can number it. */
export function hasBelievableTid({ tid, address }: GuestThread, complaints: string[]): boolean {
  if (tid <= MOST_TID) return true;
  complaints.push(`the thread at 0x${address.toString(16)} says it is tid ${tid}; left out`);
  return false;
}

/** Ids must be unique: an element with an id that was there before is left out and complained of. */
export function withoutTwins<
  Key extends 'tid' | 'pid',
  Item extends { readonly [K in Key]: number },
>(items: readonly Item[], key: Key, complaints: string[]): Item[] {
  const seen = new Set<number>();
  return items.filter((item) => {
    if (!seen.has(item[key])) return seen.add(item[key]);
    complaints.push(`${key} ${item[key]} appears more than once; the first is shown`);
    return false;
  });
}
