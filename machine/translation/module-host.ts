/**
 * Where the generated modules of a machine meet: the table they all import, the functions they call,
 * and how many of them there are. V8 keeps each instance for as long as a table it has imported, and
 * visits them all on each change of the table: after some thousands the table is given up, and with it
 * everything that was compiled.
 */
const INITIAL_TABLE = 2048;
/** The example kernel with its tests needs some 300 to boot; a table with 10,000 is 30 times slower. */
const MOST_INSTANCES = 4096;

/** Makes the functions that modules import, for a new table. */
export type ImportMaker = (host: ModuleHost) => Record<string, unknown>;

export class ModuleHost {
  readonly memoryPages: number;
  /** Replaced by `renew`: to be asked for anew each time. */
  table = newTable();
  imports: Record<string, unknown> = {};
  private readonly makeImports: ImportMaker;
  private instances = 0;

  constructor(memoryPages: number, makeImports: ImportMaker) {
    this.memoryPages = memoryPages;
    this.makeImports = makeImports;
    this.imports = makeImports(this);
  }

  /** True if it is time to forget all code and to `renew`. */
  get isCrowded(): boolean {
    return this.instances >= MOST_INSTANCES;
  }

  /** Compiles a module over the present table; its exports. */
  instantiate(
    bytes: Uint8Array,
    imports: Record<string, unknown> = this.imports,
  ): Record<string, unknown> {
    this.instances += 1;
    return new WebAssembly.Instance(new WebAssembly.Module(bytes), { host: imports }).exports;
  }

  /** A new table with nothing compiled; whoever holds an index or a function of the old one lets go. */
  renew(): void {
    this.table = newTable();
    this.instances = 0;
    this.imports = this.makeImports(this);
  }
}

function newTable(): WebAssembly.Table {
  return new WebAssembly.Table({ element: 'anyfunc', initial: INITIAL_TABLE });
}
