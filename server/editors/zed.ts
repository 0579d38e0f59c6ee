/** Zed: `.zed/debug.json` for its two adapters. Its GDB adapter is gdb's own DAP: gdb 14 or later. */
import { inFolder, json, lldbCommands, type Editor } from './editor.ts';

const FOLDER = '$ZED_WORKTREE_ROOT';

export const zed: Editor = {
  name: 'zed',
  needs: 'gdb 14 or later for the entry with gdb; Zed fetches CodeLLDB by itself',
  files(setup) {
    const program = inFolder(setup.image, FOLDER);
    const lldb = lldbCommands(setup, program, FOLDER);
    const entries = [
      {
        label: 'Exoscope: lldb',
        adapter: 'CodeLLDB',
        request: 'launch',
        targetCreateCommands: lldb.create,
        processCreateCommands: lldb.connect,
      },
      {
        label: 'Exoscope: gdb',
        adapter: 'GDB',
        request: 'attach',
        program,
        cwd: FOLDER,
        target: setup.address,
      },
    ];
    return [{ path: '.zed/debug.json', content: json(entries) }];
  },
};
