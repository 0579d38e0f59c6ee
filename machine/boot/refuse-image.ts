import { ImageError } from './boot-protocol.ts';

/** Throws the ImageError for `imageName`: one line, what is wrong and what to do about it. */
export function refuseImage(imageName: string, problem: string): never {
  throw new ImageError(`${imageName}: ${problem}`.replaceAll(/[\r\n]+/g, ' '));
}

/** Addresses and sizes in messages. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
