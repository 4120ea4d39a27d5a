"use strict";
// Tensors on the wire: little-endian, C order, without padding. Floats are computed with as float32 here.

const ELEMENTS = {
  float32: Float32Array, float16: Uint16Array, float64: Float64Array,
  int64: BigInt64Array, int32: Int32Array, int16: Int16Array, int8: Int8Array,
  uint64: BigUint64Array, uint32: Uint32Array, uint16: Uint16Array, uint8: Uint8Array, bool: Uint8Array,
};
const ON_THE_WIRE = ["float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"];

const elementCount = (shape) => shape.reduce((all, size) => all * size, 1);
const isFloat = (dtype) => dtype.startsWith("float");
/** Casts within one sort are harmless: floats, integers, booleans. */
const sortOf = (dtype) => (isFloat(dtype) ? "float" : dtype === "bool" ? "bool" : "int");
const tensorBytes = ({ dtype, shape }) => elementCount(shape) * ELEMENTS[dtype].BYTES_PER_ELEMENT;
const recordBytes = (specs) => specs.reduce((all, spec) => all + tensorBytes(spec), 0);

/** Splits the bytes of one call into tensors: `{dtype, shape, data}` each, with a copy of the data. */
function splitRecord(bytes, specs) {
  let at = 0;
  return specs.map(({ name, dtype, shape }) => {
    const size = tensorBytes({ dtype, shape });
    const data = new ELEMENTS[dtype](bytes.slice(at, at + size));
    at += size;
    return { name, dtype, shape, data };
  });
}

/** Returns the values as an array of the element type `dtype`; rounds nothing but what a narrower float must. */
function cast(tensor, dtype) {
  if (tensor.dtype === dtype) return tensor.data;
  const values = tensor.dtype === "float16" ? Float32Array.from(tensor.data, halfToFloat) : tensor.data;
  if (dtype === "float16") return Uint16Array.from(values, floatToHalf);
  const Elements = ELEMENTS[dtype];
  const big = Elements === BigInt64Array || Elements === BigUint64Array;
  const fromBig = values instanceof BigInt64Array || values instanceof BigUint64Array;
  if (big === fromBig) return Elements.from(values);
  return big ? Elements.from(values, BigInt) : Elements.from(values, Number);
}

/** Returns an output as the wire has it: floats of any width as float32, integers that it lacks as int64. */
function asOutput(dtype, shape, data) {
  const wire = isFloat(dtype) ? "float32" : ON_THE_WIRE.includes(dtype) ? dtype : "int64";
  return { dtype: wire, shape, data: cast({ dtype, data }, wire) };
}

const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);

/** IEEE 754 binary16 to binary32, exactly. */
function halfToFloat(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** IEEE 754 binary32 to binary16, rounded to the nearest, ties to even. */
function floatToHalf(value) {
  FLOAT[0] = value;
  const sign = (BITS[0] >>> 16) & 0x8000;
  const size = BITS[0] & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00;
  // 65520 is the first number that rounds to infinity.
  if (size >= 0x477ff000) return sign | 0x7c00;
  if (size < 0x38800000) {
    // Subnormal: the float32 addition of 0.5 rounds to multiples of 2^-24, the last place of such halves.
    FLOAT[0] = Math.abs(FLOAT[0]) + 0.5;
    return sign | (BITS[0] - 0x3f000000);
  }
  const odd = (size >>> 13) & 1;
  return sign | ((size - 0x38000000 + 0xfff + odd) >>> 13);
}
