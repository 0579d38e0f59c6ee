/** How many different lines are passed on: a hostile guest has no end of them. */
const MOST_NOTES = 500;

/** Passes lines on to the log, each once since power-on. */
export class Notes {
  private readonly noted = new Set<string>();
  private readonly note: (text: string) => void;

  constructor(note: (text: string) => void) {
    this.note = note;
  }

  once(text: string): void {
    if (this.noted.size >= MOST_NOTES || this.noted.has(text)) return;
    this.noted.add(text);
    this.note(text);
    if (this.noted.size === MOST_NOTES) this.note('further notes of this kind are left out');
  }
}
