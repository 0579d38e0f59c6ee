/**
 * What a command that moves the machine has its user type. gdb keeps stack memory, and registers with
 * frames, in caches that a monitor command does not clear, and a selected thread that is gone cannot
 * be read: thread 1 is always there.
 */
export function flushLine(isSelectedThere: boolean): string {
  const select = isSelectedThere ? '' : 'thread 1, then ';
  return `gdb still shows the old registers; type: ${select}maint flush dcache, then maint flush register-cache`;
}
