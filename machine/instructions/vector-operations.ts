/**
 * The 128-bit operations that semantics may use, by the WebAssembly SIMD names: both that
 * instruction set and SSE2 are lane-wise, and the names say lane type and operation.
 */
export const VECTOR_OPERATIONS = [
  'v128.and', 'v128.andnot', 'v128.or', 'v128.xor', 'v128.not', 'v128.bitselect',
  'i8x16.add', 'i16x8.add', 'i32x4.add', 'i64x2.add',
  'i8x16.sub', 'i16x8.sub', 'i32x4.sub', 'i64x2.sub',
  'i8x16.add_sat_s', 'i8x16.add_sat_u', 'i16x8.add_sat_s', 'i16x8.add_sat_u',
  'i8x16.sub_sat_s', 'i8x16.sub_sat_u', 'i16x8.sub_sat_s', 'i16x8.sub_sat_u',
  'i16x8.mul', 'i32x4.mul', 'i64x2.mul', 'i32x4.dot_i16x8_s',
  'i32x4.extmul_low_i16x8_s', 'i32x4.extmul_high_i16x8_s',
  'i32x4.extmul_low_i16x8_u', 'i32x4.extmul_high_i16x8_u',
  'i64x2.extmul_low_i32x4_u',
  'i16x8.extadd_pairwise_i8x16_u', 'i32x4.extadd_pairwise_i16x8_u',
  'i8x16.avgr_u', 'i16x8.avgr_u',
  'i8x16.min_u', 'i8x16.max_u', 'i16x8.min_s', 'i16x8.max_s',
  'i8x16.eq', 'i16x8.eq', 'i32x4.eq', 'i8x16.gt_s', 'i16x8.gt_s', 'i32x4.gt_s',
  'i64x2.eq', 'i64x2.gt_s',
  'i8x16.narrow_i16x8_s', 'i8x16.narrow_i16x8_u', 'i16x8.narrow_i32x4_s',
  'i16x8.shl', 'i16x8.shr_s', 'i16x8.shr_u', 'i32x4.shl', 'i32x4.shr_s', 'i32x4.shr_u',
  'i64x2.shl', 'i64x2.shr_u',
  'f32x4.add', 'f32x4.sub', 'f32x4.mul', 'f32x4.div', 'f32x4.sqrt',
  'f64x2.add', 'f64x2.sub', 'f64x2.mul', 'f64x2.div', 'f64x2.sqrt',
  'f32x4.eq', 'f32x4.ne', 'f32x4.lt', 'f32x4.le', 'f64x2.eq', 'f64x2.ne', 'f64x2.lt', 'f64x2.le',
  'f32x4.convert_i32x4_s', 'f64x2.convert_low_i32x4_s',
  'f32x4.demote_f64x2_zero', 'f64x2.promote_low_f32x4',
  'f32x4.nearest', 'f64x2.nearest', 'i32x4.trunc_sat_f32x4_s', 'i32x4.trunc_sat_f64x2_s_zero',
] as const; // prettier-ignore

export type VectorOperation = (typeof VECTOR_OPERATIONS)[number];
