/** Every link of the documentation leads somewhere: files that are there, headings that are there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const DOCS = join(ROOT, 'docs');
const README = join(ROOT, 'README.md');
const PAGES = [
  README,
  join(ROOT, 'CONTRIBUTING.md'),
  join(ROOT, 'test/gdb-suite/README.md'),
  ...readdirSync(DOCS).map((name) => join(DOCS, name)),
];

/** A page without its blocks of code, in which # is no heading and brackets are no link. */
function proseOf(page: string): string {
  return readFileSync(page, 'utf8').replace(/^```[^]*?^```/gm, '');
}

/** Anchors as GitHub makes them of headings. */
function anchorsOf(page: string): readonly string[] {
  return [...proseOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => {
    const letters = heading!.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '');
    return letters.replaceAll(' ', '-');
  });
}

function linksOf(page: string): readonly string[] {
  return [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link]) =>
    link!.startsWith('https://') ? [] : [link!],
  );
}

function isThere(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : join(dirname(page), path);
  if (!existsSync(target)) return false;
  return anchor === undefined || anchorsOf(target).includes(anchor);
}

describe('the documentation', () => {
  it.each(PAGES.map((page) => relative(ROOT, page)))(
    '%s has no link that leads nowhere',
    (name) => {
      const page = join(ROOT, name);
      expect(linksOf(page).filter((link) => !isThere(page, link))).toEqual([]);
    },
  );

  it('is reached from the README, page by page', () => {
    const linked = linksOf(README).map((link) => link.split('#')[0]);
    const pages = readdirSync(DOCS).map((name) => `docs/${name}`);
    expect(pages.filter((page) => !linked.includes(page))).toEqual([]);
  });
});
