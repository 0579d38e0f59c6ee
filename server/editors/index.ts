/** The one list of the editors that `exoscope init` knows. */
import { clion } from './clion.ts';
import type { Editor } from './editor.ts';
import { emacs } from './emacs.ts';
import { neovim } from './neovim.ts';
import { vscode } from './vscode.ts';
import { zed } from './zed.ts';

export const EDITORS: readonly Editor[] = [vscode, neovim, emacs, zed, clion];
