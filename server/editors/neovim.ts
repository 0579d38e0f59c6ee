/**
 * Neovim with nvim-dap: `.nvim.lua`, which Neovim reads from the open folder with `:set exrc`. The
 * configurations stand in it as JSON, that nvim-dap's own form is.
 */
import { inFolder, json, lldbCommands, type Editor, type EditorSetup } from './editor.ts';

const FOLDER = '${workspaceFolder}';

function configurations(setup: EditorSetup): readonly object[] {
  const program = inFolder(setup.image, FOLDER);
  const lldb = lldbCommands(setup, program, FOLDER);
  return [
    {
      name: 'Exoscope: gdb (cdt-gdb-adapter)',
      type: 'exoscope_gdb',
      request: 'attach',
      program,
      cwd: FOLDER,
      target: { type: 'remote', host: setup.host, port: String(setup.port) },
    },
    {
      name: 'Exoscope: lldb (lldb-dap)',
      type: 'exoscope_lldb',
      request: 'attach',
      attachCommands: [...lldb.create, ...lldb.connect],
      stopOnEntry: true,
    },
  ];
}

function script(setup: EditorSetup): string {
  return `-- Attaches nvim-dap to exoscope at ${setup.address}: \`:lua require('dap').continue()\`.
-- Neovim asks once whether it may read this file (:help 'exrc').
local found, dap = pcall(require, 'dap')
if not found then
  return
end

local function first_of(programs)
  for _, program in ipairs(programs) do
    if vim.fn.executable(program) == 1 then
      return program
    end
  end
  return programs[1]
end

-- npm install --global --ignore-scripts cdt-gdb-adapter
dap.adapters.exoscope_gdb = { type = 'executable', command = 'cdtDebugTargetAdapter' }
dap.adapters.exoscope_lldb = {
  type = 'executable',
  command = first_of({ 'lldb-dap', 'lldb-vscode', 'lldb-vscode-14' }),
}

local configurations = vim.json.decode([==[
${json(configurations(setup))}]==])
for _, language in ipairs({ 'c', 'cpp', 'rust', 'asm' }) do
  dap.configurations[language] = dap.configurations[language] or {}
  vim.list_extend(dap.configurations[language], configurations)
end
`;
}

export const neovim: Editor = {
  name: 'neovim',
  needs: 'nvim-dap, `:set exrc`, and cdt-gdb-adapter (npm) or lldb-dap; then `:DapContinue`',
  files: (setup) => [{ path: '.nvim.lua', content: script(setup) }],
};
