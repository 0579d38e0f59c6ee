/**
 * A walk through guest memory that does not know how memory is read: a generator that yields what
 * it wants to read and is given the bytes. The same walk runs at once over our own machine
 * (`runWalk`), where an execution hook cannot wait, and over a remote stub (`runWalkLater`).
 */
export interface MemoryRequest {
  readonly address: bigint;
  readonly lengthBytes: number;
  /** Page tables to read through; absent: those in force. */
  readonly cr3?: bigint;
}

export type Walk<Result> = Generator<MemoryRequest, Result, Uint8Array>;

/** As many bytes as are mapped from the address on; empty if the first is not. */
export type MemoryReader = (request: MemoryRequest) => Uint8Array;
export type LaterMemoryReader = (request: MemoryRequest) => Promise<Uint8Array>;

export function runWalk<Result>(walk: Walk<Result>, read: MemoryReader): Result {
  let step = walk.next();
  while (step.done !== true) step = walk.next(read(step.value));
  return step.value;
}

export async function runWalkLater<Result>(
  walk: Walk<Result>,
  read: LaterMemoryReader,
): Promise<Result> {
  let step = walk.next();
  while (step.done !== true) step = walk.next(await read(step.value));
  return step.value;
}

/** All of the bytes, or undefined if any of them is not mapped. */
export function* readExactly(
  address: bigint,
  lengthBytes: number,
  cr3?: bigint,
): Walk<DataView | undefined> {
  const request = { address, lengthBytes };
  const bytes = yield cr3 === undefined ? request : { ...request, cr3 };
  if (bytes.length < lengthBytes) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset, lengthBytes);
}

export function* readU64(address: bigint, cr3?: bigint): Walk<bigint | undefined> {
  const view = yield* readExactly(address, 8, cr3);
  return view?.getBigUint64(0, true);
}
