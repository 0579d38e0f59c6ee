/** When a server that serves until it is told to end, ends. */

/** Ctrl-C, a termination signal, Ctrl-A x or `monitor quit`. */
export class EndOfService {
  readonly whenCome: Promise<void>;
  private resolve: () => void = () => undefined;

  constructor() {
    this.whenCome = new Promise((resolve) => (this.resolve = resolve));
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => this.come());
    }
  }

  come(): void {
    this.resolve();
  }
}
