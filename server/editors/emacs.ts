/** Emacs: `exoscope.el` with a command for gdb's own mode and configurations for dape. */
import { lldbCommands, type Editor, type EditorSetup } from './editor.ts';

const text = (value: string): string => JSON.stringify(value);

function script(setup: EditorSetup): string {
  const { create, connect } = lldbCommands(setup, setup.image, '.');
  return `;;; exoscope.el --- attach to exoscope at ${setup.address}  -*- lexical-binding: t -*-

;; M-x load-file, then M-x exoscope-gdb, or M-x dape with exoscope-gdb or exoscope-lldb.

(defconst exoscope--folder (file-name-directory (or load-file-name buffer-file-name)))

(defun exoscope-gdb ()
  "Debug the kernel with gdb."
  (interactive)
  (let ((default-directory exoscope--folder))
    (gdb ${text(`gdb -i=mi -ex "target remote ${setup.address}"`)})))

(with-eval-after-load 'dape
  (add-to-list
   'dape-configs
   \`(exoscope-gdb
     modes (c-mode c-ts-mode c++-mode c++-ts-mode rust-mode rust-ts-mode asm-mode)
     command "cdtDebugTargetAdapter"
     command-cwd ,exoscope--folder
     :type "gdbtarget"
     :request "attach"
     :program ${text(setup.image)}
     :cwd ,exoscope--folder
     :target (:type "remote" :host ${text(setup.host)} :port ${text(String(setup.port))})))
  (add-to-list
   'dape-configs
   \`(exoscope-lldb
     modes (c-mode c-ts-mode c++-mode c++-ts-mode rust-mode rust-ts-mode asm-mode)
     command "lldb-dap"
     command-cwd ,exoscope--folder
     :type "lldb-dap"
     :request "attach"
     :attachCommands [${[...create, ...connect].map(text).join(' ')}]
     :stopOnEntry t)))

;;; exoscope.el ends here
`;
}

export const emacs: Editor = {
  name: 'emacs',
  needs: 'nothing for gdb: `M-x load-file RET exoscope.el`, `M-x exoscope-gdb`; dape for adapters',
  files: (setup) => [{ path: 'exoscope.el', content: script(setup) }],
};
