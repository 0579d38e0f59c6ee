/**
 * The floating-point operations that host code computes exactly, when generated code cannot prove
 * that WebAssembly's arithmetic gives what the CPU would: each is named as the instruction (the
 * compares as the assembler's CMPEQPS and so on, Intel SDM 2A "CMPPS"). All of them round and treat
 * denormals as MXCSR says, record exceptions in it, and return #XM when one is unmasked; then only
 * the exception flags of MXCSR have changed.
 *
 * Arguments, results (scalar operands are the low 32 or 64 bits, zero-extended):
 *
 *     ADDPS …, two packed operands     (left low, left high, right low, right high): low, high
 *     SQRTPS, CVTPS2DQ …, one packed   (low, high): low, high
 *     ADDSS …, two scalars             (left, right): result
 *     SQRTSS, CVTSS2SD …, one scalar   (value): result
 *     CVTSI2SS, CVTSI2SD               (value, sign-extended to 64 bits): result
 *     CVTSS2SI, CVTTSD2SI …            (value, width of the integer: 32 or 64): result
 *     COMISS, UCOMISD …                (left, right): ZF, PF and CF where RFLAGS has them
 *
 * machine/cpu/float/host-operations.ts computes them.
 */
export const FLOAT_TYPES = ['ps', 'pd', 'ss', 'sd'] as const;
export type FloatType = (typeof FLOAT_TYPES)[number];

const TYPED_OPERATIONS = [
  'add', 'sub', 'mul', 'div', 'sqrt', 'min', 'max',
  'cmpeq', 'cmplt', 'cmple', 'cmpunord',
] as const; // prettier-ignore

const CONVERSIONS = [
  'cvtps2pd', 'cvtpd2ps', 'cvtss2sd', 'cvtsd2ss',
  'cvtdq2ps', 'cvtps2dq', 'cvttps2dq', 'cvtpd2dq', 'cvttpd2dq',
  'cvtsi2ss', 'cvtsi2sd', 'cvtss2si', 'cvttss2si', 'cvtsd2si', 'cvttsd2si',
] as const; // prettier-ignore

const ORDERINGS = ['comiss', 'comisd', 'ucomiss', 'ucomisd'] as const;

export type TypedFloatOperation = (typeof TYPED_OPERATIONS)[number];
export type FloatConversion = (typeof CONVERSIONS)[number];
export type FloatOrdering = (typeof ORDERINGS)[number];

/** Every operation that exists; the host has one function for each. */
export type FloatOperation = `${TypedFloatOperation}${FloatType}` | FloatConversion | FloatOrdering;

export const FLOAT_OPERATIONS: readonly FloatOperation[] = [
  ...TYPED_OPERATIONS.flatMap((operation) =>
    FLOAT_TYPES.map((type): FloatOperation => `${operation}${type}`),
  ),
  ...CONVERSIONS,
  ...ORDERINGS,
];
