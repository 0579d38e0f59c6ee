/** Notes of a chip to the log: a guest that does the same thing for ever is noted once. */

/** How many different lines a chip passes on: a hostile guest has no end of them. */
const MOST_NOTES = 100;

/** Passes each line on to `note` the first time that it is given. */
export function noteOnce(note: (text: string) => void): (text: string) => void {
  const noted = new Set<string>();
  return (text) => {
    if (noted.has(text) || noted.size >= MOST_NOTES) return;
    noted.add(text);
    note(text);
  };
}
