/** `--serial` with `--sessions`: a file for each session, with its number in the name. */
import { format, parse } from 'node:path';

/** `file:com1.txt` of session 3 is `file:com1-3.txt`; anything else stays as it is. */
export function serialOf(serial: string, session: number): string {
  const path = /^file:(.+)$/s.exec(serial)?.[1];
  if (path === undefined) return serial;
  const { dir, name, ext } = parse(path);
  return `file:${format({ dir, name: `${name}-${session}`, ext })}`;
}
