/** What `exoscope serve` prints first: where it listens and what to type for each debugger. */
import { formatAddress, type ListenAddress } from '../listen-address.ts';

/** gdb's `target remote` and lldb's `gdb-remote` arguments for an address. */
function targets(address: Exclude<ListenAddress, { kind: 'stdio' }>): {
  readonly gdb: string;
  readonly lldb: string;
} {
  const text = formatAddress(address);
  return address.kind === 'unix'
    ? {
        gdb: address.path,
        lldb: `process connect --plugin gdb-remote unix-connect://${address.path}`,
      }
    : { gdb: text, lldb: `gdb-remote ${text}` };
}

/** Lines for stderr. `image` is what lldb is to load, which cannot fetch it by itself; empty: nothing. */
export function banner(
  address: Exclude<ListenAddress, { kind: 'stdio' }>,
  image: string,
  state: string,
): string {
  const { gdb, lldb } = targets(address);
  return [
    `exoscope: listening on ${formatAddress(address)}; ${state}`,
    `  gdb -ex 'target remote ${gdb}'`,
    `  lldb -o '${lldb}' ${image}`.trimEnd(),
    '',
  ].join('\n');
}
