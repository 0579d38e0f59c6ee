/**
 * The XML that tells gdb and lldb what registers there are, made from the register table (GDB
 * manual, "Target Description Format"). gdb reads it in pieces of 4 KiB, a round trip each: for gdb it
 * has no more in it than gdb uses. lldb reads all at once and wants more attributes.
 */
import type { Architecture, RegisterSet } from './register-set.ts';
import {
  REGISTER_FEATURES,
  type RegisterDefinition,
  type RegisterFeature,
} from './register-table.ts';

/** A bit field of a flags type: name, first bit, last bit. */
type Flag = readonly [name: string, first: number, last?: number];

/** Intel SDM 3A §3.4.3. */
const EFLAGS: readonly Flag[] = [
  ['CF', 0],
  ['', 1],
  ['PF', 2],
  ['AF', 4],
  ['ZF', 6],
  ['SF', 7],
  ['TF', 8],
  ['IF', 9],
  ['DF', 10],
  ['OF', 11],
  ['IOPL', 12, 13],
  ['NT', 14],
  ['RF', 16],
  ['VM', 17],
  ['AC', 18],
  ['VIF', 19],
  ['VIP', 20],
  ['ID', 21],
];

/** Intel SDM 1 §10.2.3. */
const MXCSR: readonly Flag[] = [
  ['IE', 0],
  ['DE', 1],
  ['ZE', 2],
  ['OE', 3],
  ['UE', 4],
  ['PE', 5],
  ['DAZ', 6],
  ['IM', 7],
  ['DM', 8],
  ['ZM', 9],
  ['OM', 10],
  ['UM', 11],
  ['PM', 12],
  ['FZ', 15],
];

/** Intel SDM 3A §2.5. */
const CR0: readonly Flag[] = [
  ['PE', 0],
  ['MP', 1],
  ['EM', 2],
  ['TS', 3],
  ['ET', 4],
  ['NE', 5],
  ['WP', 16],
  ['AM', 18],
  ['NW', 29],
  ['CD', 30],
  ['PG', 31],
];

const CR4: readonly Flag[] = [
  ['VME', 0],
  ['PVI', 1],
  ['TSD', 2],
  ['DE', 3],
  ['PSE', 4],
  ['PAE', 5],
  ['MCE', 6],
  ['PGE', 7],
  ['PCE', 8],
  ['OSFXSR', 9],
  ['OSXMMEXCPT', 10],
  ['UMIP', 11],
  ['LA57', 12],
  ['FSGSBASE', 16],
  ['PCIDE', 17],
  ['OSXSAVE', 18],
  ['SMEP', 20],
  ['SMAP', 21],
  ['PKE', 22],
];

const EFER: readonly Flag[] = [
  ['SCE', 0],
  ['LME', 8],
  ['LMA', 10],
  ['NXE', 11],
];

function flags(id: string, sizeBytes: number, fields: readonly Flag[]): string {
  const lines = fields.map(
    ([name, first, last = first]) => `<field name="${name}" start="${first}" end="${last}"/>`,
  );
  return [`<flags id="${id}" size="${sizeBytes}">`, ...lines, '</flags>'].join('\n');
}

/** gdb's own types of a 128-bit vector register (features/i386/64bit-sse.xml). */
const VECTOR_TYPES = [
  '<vector id="v8bf16" type="bfloat16" count="8"/>',
  '<vector id="v4f" type="ieee_single" count="4"/>',
  '<vector id="v2d" type="ieee_double" count="2"/>',
  '<vector id="v16i8" type="int8" count="16"/>',
  '<vector id="v8i16" type="int16" count="8"/>',
  '<vector id="v4i32" type="int32" count="4"/>',
  '<vector id="v2i64" type="int64" count="2"/>',
  '<union id="vec128">',
  '<field name="v8_bfloat16" type="v8bf16"/>',
  '<field name="v4_float" type="v4f"/>',
  '<field name="v2_double" type="v2d"/>',
  '<field name="v16_int8" type="v16i8"/>',
  '<field name="v8_int16" type="v8i16"/>',
  '<field name="v4_int32" type="v4i32"/>',
  '<field name="v2_int64" type="v2i64"/>',
  '<field name="uint128" type="uint128"/>',
  '</union>',
].join('\n');

const TYPES: Readonly<Record<RegisterFeature, readonly string[]>> = {
  core: [flags('i386_eflags', 4, EFLAGS)],
  sse: [VECTOR_TYPES, flags('i386_mxcsr', 4, MXCSR)],
  linux: [],
  segments: [],
  system: [flags('x64_cr0', 8, CR0), flags('x64_cr4', 8, CR4), flags('x64_efer', 8, EFER)],
};

type Client = 'gdb' | 'lldb';

function attributes({ name, bits, type, number, group, lldb }: RegisterDefinition, client: Client) {
  const forAll = { name, bitsize: bits, type, group };
  // gdb counts from 0 by itself; all registers stand in the order of their numbers.
  if (client === 'gdb') return forAll;
  const { altName: altname, generic, dwarf } = lldb;
  return {
    ...forAll,
    regnum: number,
    altname,
    generic,
    ehframe_regnum: dwarf,
    dwarf_regnum: dwarf,
  };
}

function registerElement(register: RegisterDefinition, client: Client): string {
  const text = Object.entries(attributes(register, client))
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}="${value}"`);
  return `<reg ${text.join(' ')}/>`;
}

/** Empty: nothing of it is served. */
function featureElement(feature: RegisterFeature, set: RegisterSet, client: Client): string {
  const registers = set.registers.filter((register) => register.feature === feature);
  if (registers.length === 0) return '';
  const content = [...TYPES[feature], ...registers.map((one) => registerElement(one, client))];
  return `<feature name="${REGISTER_FEATURES[feature]}">\n${content.join('\n')}\n</feature>\n`;
}

/** gdb's words for them. */
const ARCHITECTURE_NAMES: Readonly<Record<Architecture, string>> = {
  'x86-64': 'i386:x86-64',
  i386: 'i386',
};

/** The whole description, one document without includes. */
export function targetDescription(set: RegisterSet, client: Client): string {
  const features = Object.keys(REGISTER_FEATURES) as RegisterFeature[];
  const architecture = ARCHITECTURE_NAMES[set.architecture];
  return [
    '<?xml version="1.0"?>\n<!DOCTYPE target SYSTEM "gdb-target.dtd">\n<target version="1.0">\n',
    `<architecture>${architecture}</architecture>\n<osabi>GNU/Linux</osabi>\n`,
    ...features.map((feature) => featureElement(feature, set, client)),
    '</target>\n',
  ].join('');
}
