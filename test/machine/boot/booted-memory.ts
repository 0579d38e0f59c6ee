/** Carries out a boot plan over a sparse RAM and reads what a kernel would read. */
import { planBoot } from '../../../machine/boot/loader.ts';
import type { BootPlan, BootRequest } from '../../../machine/boot/boot-protocol.ts';
import { ImageError } from '../../../machine/boot/boot-protocol.ts';

export const MEMORY_BYTES = 64 * 2 ** 20;

export function request(image: Uint8Array, changes: Partial<BootRequest> = {}): BootRequest {
  return {
    image,
    imageName: 'kernel.elf',
    commandLine: 'test capture=stale',
    modules: [],
    memoryBytes: MEMORY_BYTES,
    ...changes,
  };
}

export class BootedMemory {
  readonly plan: BootPlan;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(plan: BootPlan, memoryBytes = MEMORY_BYTES) {
    this.plan = plan;
    this.#bytes = new Uint8Array(memoryBytes);
    this.#view = new DataView(this.#bytes.buffer);
    for (const { address, bytes } of plan.writes) this.#bytes.set(bytes, address);
  }

  u32(address: number): number {
    return this.#view.getUint32(address, true);
  }

  u64(address: number): number {
    return Number(this.#view.getBigUint64(address, true));
  }

  words(address: number, count: number): number[] {
    return Array.from({ length: count }, (_, index) => this.u32(address + 4 * index));
  }

  bytes(address: number, lengthBytes: number): Uint8Array {
    return this.#bytes.slice(address, address + lengthBytes);
  }

  text(address: number): string {
    const end = this.#bytes.indexOf(0, address);
    return new TextDecoder().decode(this.#bytes.subarray(address, end));
  }
}

/** The one line with which the image is refused; an error of any other kind fails the test. */
export function refusal(
  image: Uint8Array,
  changes: Partial<BootRequest> = {},
  protocol?: BootPlan['protocol'],
): string {
  try {
    planBoot(request(image, changes), protocol);
  } catch (error) {
    if (error instanceof ImageError) return error.message;
    throw error;
  }
  throw new Error('the image was accepted');
}
