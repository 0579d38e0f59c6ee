/** What `exoscope init` knows of an editor: which files make it attach to a server. */

export interface EditorSetup {
  readonly host: string;
  readonly port: number;
  /** HOST:PORT. */
  readonly address: string;
  /** The kernel's ELF, relative to the folder that is open in the editor where it lies inside. */
  readonly image: string;
}

export interface EditorFile {
  /** Relative to the folder that is open in the editor. */
  readonly path: string;
  readonly content: string;
}

export interface Editor {
  /** As the command line names it. */
  readonly name: string;
  /** What can attach then, and what else it needs, one line. */
  readonly needs: string;
  files(setup: EditorSetup): readonly EditorFile[];
}

/** JSON as editors keep it. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/**
 * Commands for lldb. The image's debug paths are relative to its sources' folder and lldb asks for
 * absolute ones, hence the source map; the server owns the machine, so the adapter never launches it.
 */
export function lldbCommands(setup: EditorSetup, image: string, sources: string) {
  return {
    create: [`target create "${image}"`, `settings set target.source-map . "${sources}"`],
    connect: [`gdb-remote ${setup.address}`],
  };
}

/** `image` as an editor names it that puts its own variable for the open folder. */
export function inFolder(image: string, folder: string): string {
  const isAbsolute = image.startsWith('/') || /^[A-Za-z]:/.test(image);
  return isAbsolute ? image : `${folder}/${image}`;
}
