/** Puts functions, imports and exports together into a WebAssembly module (core specification §5.5). */
import { ByteWriter } from './byte-writer.ts';
import { FunctionBuilder, typeCode, type Signature } from './function-builder.ts';

interface DefinedFunction {
  readonly type: number;
  readonly builder: FunctionBuilder;
  readonly exportName: string;
}

/** The one memory and the one table that every module of a machine imports. */
export interface SharedImports {
  /** In pages of 64 KiB: the memory is at least that large. */
  readonly memoryPages: number;
}

export class ModuleBuilder {
  private readonly shared: SharedImports;
  private readonly types: Signature[] = [];
  private readonly typeKeys = new Map<string, number>();
  private readonly imports: { readonly name: string; readonly type: number }[] = [];
  private readonly functions: DefinedFunction[] = [];

  constructor(shared: SharedImports) {
    this.shared = shared;
  }

  type(signature: Signature): number {
    const key = `${signature.parameters.join()}→${signature.results.join()}`;
    let index = this.typeKeys.get(key);
    if (index === undefined) {
      index = this.types.push(signature) - 1;
      this.typeKeys.set(key, index);
    }
    return index;
  }

  /** Imports `host.name`; all imports come before the first function. Result: function index. */
  import(name: string, signature: Signature): number {
    if (this.functions.length > 0) throw new Error('imports come before functions');
    return this.imports.push({ name, type: this.type(signature) }) - 1;
  }

  /** Declares an exported function; its index is valid for calls at once. */
  function(exportName: string, signature: Signature): { index: number; builder: FunctionBuilder } {
    const builder = new FunctionBuilder(signature);
    this.functions.push({ type: this.type(signature), builder, exportName });
    return { index: this.imports.length + this.functions.length - 1, builder };
  }

  finish(): Uint8Array {
    const module = new ByteWriter();
    for (const byte of [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) module.byte(byte);
    this.section(module, 1, this.types, (writer, { parameters, results }) => {
      writer.byte(0x60);
      for (const list of [parameters, results]) {
        writer.unsigned(list.length);
        for (const type of list) writer.byte(typeCode(type));
      }
    });
    this.importSection(module);
    this.section(module, 3, this.functions, (writer, { type }) => writer.unsigned(type));
    this.section(module, 7, this.functions, (writer, { exportName }, index) => {
      writer.name(exportName);
      writer.byte(0);
      writer.unsigned(this.imports.length + index);
    });
    this.section(module, 10, this.functions, (writer, { builder }) => {
      const code = builder.finish();
      writer.unsigned(code.length);
      writer.append(code);
    });
    return module.finish();
  }

  private importSection(module: ByteWriter): void {
    const entries = [
      (writer: ByteWriter) => {
        writer.name('host');
        writer.name('memory');
        for (const byte of [2, 0]) writer.byte(byte);
        writer.unsigned(this.shared.memoryPages);
      },
      (writer: ByteWriter) => {
        writer.name('host');
        writer.name('table');
        for (const byte of [1, 0x70, 0, 0]) writer.byte(byte);
      },
      ...this.imports.map(({ name, type }) => (writer: ByteWriter) => {
        writer.name('host');
        writer.name(name);
        writer.byte(0);
        writer.unsigned(type);
      }),
    ];
    this.section(module, 2, entries, (writer, write) => write(writer));
  }

  private section<Item>(
    module: ByteWriter,
    id: number,
    items: readonly Item[],
    write: (writer: ByteWriter, item: Item, index: number) => void,
  ): void {
    const content = new ByteWriter();
    content.unsigned(items.length);
    items.forEach((item, index) => write(content, item, index));
    const bytes = content.finish();
    module.byte(id);
    module.unsigned(bytes.length);
    module.append(bytes);
  }
}
