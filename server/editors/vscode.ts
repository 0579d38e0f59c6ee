/**
 * Visual Studio Code: `.vscode/launch.json` for the debug extensions that speak RSP. cppdbg (Microsoft's
 * C/C++) and gdbtarget (Eclipse CDT) drive gdb; lldb (CodeLLDB) and lldb-dap (LLVM) drive lldb.
 */
import { inFolder, json, lldbCommands, type Editor, type EditorSetup } from './editor.ts';

const FOLDER = '${workspaceFolder}';

function configurations(setup: EditorSetup): readonly object[] {
  const { host, port, address } = setup;
  const program = inFolder(setup.image, FOLDER);
  const lldb = lldbCommands(setup, program, FOLDER);
  return [
    {
      name: 'Exoscope: gdb (C/C++)',
      type: 'cppdbg',
      // cppdbg knows remote stubs only as launches; with stopAtConnect it neither runs nor kills them.
      request: 'launch',
      program,
      cwd: FOLDER,
      MIMode: 'gdb',
      miDebuggerServerAddress: address,
      stopAtConnect: true,
    },
    {
      name: 'Exoscope: lldb (CodeLLDB)',
      type: 'lldb',
      request: 'launch',
      targetCreateCommands: lldb.create,
      processCreateCommands: lldb.connect,
    },
    {
      name: 'Exoscope: gdb (CDT GDB)',
      type: 'gdbtarget',
      request: 'attach',
      program,
      cwd: FOLDER,
      target: { type: 'remote', host, port: String(port) },
    },
    {
      name: 'Exoscope: lldb (LLDB DAP)',
      type: 'lldb-dap',
      request: 'attach',
      initCommands: [],
      attachCommands: [...lldb.create, ...lldb.connect],
      stopOnEntry: true,
    },
  ];
}

export const vscode: Editor = {
  name: 'vscode',
  needs: 'one of the extensions C/C++, CodeLLDB, CDT GDB and LLDB DAP; choose its entry with F5',
  files: (setup) => [
    {
      path: '.vscode/launch.json',
      content: json({ version: '0.2.0', configurations: configurations(setup) }),
    },
  ],
};
