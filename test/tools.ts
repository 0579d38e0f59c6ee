/**
 * Tools that tests need from the system. Where one is missing the test is skipped with the reason;
 * with CI=true it fails instead, because CI installs all of them.
 */
import { spawnSync } from 'node:child_process';

function isInstalled(tool: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' }).status === 0;
}

/**
 * For `describe.skipIf(missing('gdb'))`: names what is missing, or false. With CI=true it throws.
 */
export function missing(...tools: string[]): string | false {
  const absent = tools.filter((tool) => !isInstalled(tool));
  if (absent.length === 0) return false;
  const reason = `not installed: ${absent.join(', ')}`;
  if (process.env['CI'] === 'true') throw new Error(`${reason}; CI must install it`);
  process.stderr.write(`tests skipped, ${reason}\n`);
  return reason;
}
