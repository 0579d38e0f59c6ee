/**
 * Chooses the boot protocol by what the image carries. An image with several gets the first of:
 * Multiboot 1, PVH, Multiboot 2, Linux. The first two are QEMU's own order for `-kernel`, so that a kernel
 * starts here as there; Multiboot 2, which QEMU does not know, comes behind them. A bzImage has none of them.
 */
import type { BootPlan, BootRequest } from './boot-protocol.ts';
import type { ElfImage } from './elf.ts';
import { isElf, readElf } from './elf.ts';
import { describeUnbootable } from './image-kind.ts';
import { isBzImage, planLinux } from './linux.ts';
import { findMultiboot1Header, planMultiboot1 } from './multiboot1.ts';
import { findMultiboot2Header, planMultiboot2 } from './multiboot2.ts';
import { findPvhNote, planPvh } from './pvh.ts';
import { hex, refuseImage } from './refuse-image.ts';

type Protocol = BootPlan['protocol'];

interface Loader {
  readonly protocol: Protocol;
  readonly title: string;
  /** The plan; a text that says what is wrong with the signature; undefined without a signature. */
  readonly plan: (request: BootRequest) => BootPlan | string | undefined;
}

const LOADERS: readonly Loader[] = [
  {
    protocol: 'multiboot1',
    title: 'Multiboot 1',
    plan: (request) => {
      const header = findMultiboot1Header(request.image);
      if (header === undefined) return undefined;
      return header.isChecksumRight
        ? planMultiboot1(request, header)
        : wrongChecksum('Multiboot 1', header.offset);
    },
  },
  {
    protocol: 'pvh',
    title: 'PVH',
    plan: (request) => {
      const elf = elfOf(request);
      const note = elf && findPvhNote(request.image, elf);
      return elf && note && planPvh(request, elf, note);
    },
  },
  {
    protocol: 'multiboot2',
    title: 'Multiboot 2',
    plan: (request) => {
      const header = findMultiboot2Header(request.image);
      if (header === undefined) return undefined;
      return header.isChecksumRight
        ? planMultiboot2(request, header)
        : wrongChecksum('Multiboot 2', header.offset);
    },
  },
  {
    protocol: 'linux',
    title: 'Linux',
    plan: (request) => (isBzImage(request.image) ? planLinux(request) : undefined),
  },
];

/**
 * What has to be in RAM and registers when the kernel is entered. With `protocol` only that one is
 * tried. Throws ImageError, one line with the image's name, for every image that cannot be started.
 */
export function planBoot(request: BootRequest, protocol?: Protocol): BootPlan {
  let problem: string | undefined;
  for (const loader of LOADERS) {
    if (protocol !== undefined && loader.protocol !== protocol) continue;
    const plan = loader.plan(request);
    if (typeof plan === 'object') return plan;
    problem ??= plan;
  }
  if (problem !== undefined) refuseImage(request.imageName, problem);
  const wanted = LOADERS.find((loader) => loader.protocol === protocol);
  if (wanted !== undefined) {
    refuseImage(request.imageName, `no ${wanted.title} header; choose another boot protocol`);
  }
  refuseImage(request.imageName, describeUnbootable(request.image));
}

function elfOf({ image, imageName }: BootRequest): ElfImage | undefined {
  return isElf(image) ? readElf(image, imageName) : undefined;
}

function wrongChecksum(title: string, offset: number): string {
  return `its ${title} header at byte ${hex(offset)} has a wrong checksum; magic, flags and checksum must add up to 0`;
}
