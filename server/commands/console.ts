/**
 * `--console`: the terminal's input goes to the guest, key by key. Ctrl-A x leaves, Ctrl-A Ctrl-A sends
 * one Ctrl-A, as with QEMU.
 */
const CTRL_A = 0x01;

export class TerminalConsole {
  private readonly onInput: (bytes: Uint8Array) => void;
  private readonly onLeave: () => void;
  private isAfterCtrlA = false;

  /** Puts the terminal into raw mode until `dispose`. */
  constructor(onInput: (bytes: Uint8Array) => void, onLeave: () => void) {
    this.onInput = onInput;
    this.onLeave = onLeave;
    const { stdin } = process;
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.on('data', this.take);
  }

  dispose(): void {
    const { stdin } = process;
    stdin.removeListener('data', this.take);
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.pause();
  }

  private readonly take = (keys: Buffer): void => {
    const { bytes, leaves } = this.translate(keys);
    if (bytes.length > 0) this.onInput(Uint8Array.from(bytes));
    if (leaves) this.onLeave();
  };

  private translate(keys: Uint8Array): { readonly bytes: number[]; readonly leaves: boolean } {
    const bytes: number[] = [];
    for (const key of keys) {
      if (!this.isAfterCtrlA && key === CTRL_A) {
        this.isAfterCtrlA = true;
      } else if (this.isAfterCtrlA) {
        this.isAfterCtrlA = false;
        if (key === 0x78) return { bytes, leaves: true };
        if (key === CTRL_A) bytes.push(CTRL_A);
      } else {
        bytes.push(key);
      }
    }
    return { bytes, leaves: false };
  }
}
