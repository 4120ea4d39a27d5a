"use strict";
// What a .tflite file says about its inputs and outputs: names, shapes, scales and zero points.
// The layout is that of FlatBuffers, the fields are those of TensorFlow Lite's schema.fbs, by their numbers there.

const MODEL = { subgraphs: 2, signatures: 7 };
const SUBGRAPH = { tensors: 0, inputs: 1, outputs: 2 };
const TENSOR = { shape: 0, type: 1, name: 3, quantization: 4, openShape: 7 };
const QUANTIZATION = { scales: 2, zeroPoints: 3, axis: 6 };
const SIGNATURE = { inputs: 0, outputs: 1, subgraph: 4 };
const TENSOR_MAP = { name: 0, tensor: 1 };
// TensorType of the schema, in order from 0.
const TFLITE_TYPES = [
  "float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64",
  "complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16",
];

class Flatbuffer {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  root() { return this.view.getUint32(0, true); }

  /** Returns the position of a field of a table, 0 if the table does not have it. */
  field(table, number) {
    const vtable = table - this.view.getInt32(table, true);
    const at = 4 + 2 * number;
    if (at >= this.view.getUint16(vtable, true)) return 0;
    const offset = this.view.getUint16(vtable + at, true);
    return offset && table + offset;
  }

  follow(at) { return at + this.view.getUint32(at, true); }

  child(table, number) {
    const at = this.field(table, number);
    return at && this.follow(at);
  }

  integer(table, number) {
    const at = this.field(table, number);
    return at ? this.view.getUint32(at, true) : 0;
  }

  text(table, number) {
    const at = this.child(table, number);
    if (!at) return "";
    return new TextDecoder().decode(this.bytes.slice(at + 4, at + 4 + this.view.getUint32(at, true)));
  }

  /** Returns the elements of a vector, each read by `read(position)`; empty without the vector. */
  vector(table, number, width, read) {
    const at = this.child(table, number);
    if (!at) return [];
    return Array.from({ length: this.view.getUint32(at, true) }, (_, index) => read(at + 4 + width * index));
  }

  integers(table, number) { return this.vector(table, number, 4, (at) => this.view.getInt32(at, true)); }

  tables(table, number) { return this.vector(table, number, 4, (at) => this.follow(at)); }
}

/** Returns `{inputs, outputs}` of the first subgraph, in the graph's order; see `describeTensor`. */
function describeTflite(bytes) {
  const file = new Flatbuffer(bytes);
  const root = file.root();
  const graph = file.tables(root, MODEL.subgraphs)[0];
  const signatures = file.tables(root, MODEL.signatures);
  const tensors = file.tables(graph, SUBGRAPH.tensors);
  const named = (number) => new Map((signatures.length === 1 ? file.tables(signatures[0], number) : [])
    .map((entry) => [file.integer(entry, TENSOR_MAP.tensor), file.text(entry, TENSOR_MAP.name)]));
  const describe = (number, names) => file.integers(graph, number).map((index) => {
    const tensor = describeTensor(file, tensors[index]);
    return { ...tensor, name: names.get(index) ?? tensor.name };
  });
  return {
    inputs: describe(SUBGRAPH.inputs, named(SIGNATURE.inputs)),
    outputs: describe(SUBGRAPH.outputs, named(SIGNATURE.outputs)),
  };
}

/** Returns `{name, dtype, shape, exported, scales, zeroPoints, axis}`; an open size is -1 in `shape`. */
function describeTensor(file, tensor) {
  const quantization = file.child(tensor, TENSOR.quantization);
  const type = file.field(tensor, TENSOR.type);
  const shape = file.integers(tensor, TENSOR.shape);
  const open = file.integers(tensor, TENSOR.openShape);
  return {
    name: file.text(tensor, TENSOR.name),
    dtype: TFLITE_TYPES[type ? file.view.getInt8(type) : 0] ?? "unknown",
    shape: open.length === shape.length ? open : shape,
    exported: shape,
    scales: quantization ? file.vector(quantization, QUANTIZATION.scales, 4, (at) => file.view.getFloat32(at, true)) : [],
    zeroPoints: quantization
      ? file.vector(quantization, QUANTIZATION.zeroPoints, 8, (at) => Number(file.view.getBigInt64(at, true))) : [],
    axis: quantization ? file.integer(quantization, QUANTIZATION.axis) : 0,
  };
}

const isQuantised = ({ dtype, scales }) => scales.length > 0 && /^u?int/.test(dtype);

/** Returns a function from the flat index of an element to the index of its scale. */
function scaleIndex({ scales, shape, axis }) {
  if (scales.length <= 1) return () => 0;
  const inner = elementCount(shape.slice(axis + 1));
  return (index) => Math.floor(index / inner) % scales.length;
}

/** Rounds to the nearest, ties to even, as numpy and the host runner do. */
function roundHalfEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** Returns real values as the tensor stores them: clip(round(real / scale) + zero point). */
function quantiseValues(values, tensor) {
  const Elements = ELEMENTS[tensor.dtype];
  const bits = 8 * Elements.BYTES_PER_ELEMENT;
  const [low, high] = tensor.dtype.startsWith("u") ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  const which = scaleIndex(tensor);
  return Elements.from(values, (value, index) => {
    // In float32, as the host runner computes it.
    const stored = roundHalfEven(Math.fround(value / tensor.scales[which(index)])) + tensor.zeroPoints[which(index)];
    return Math.min(high, Math.max(low, stored));
  });
}

/** Returns stored values as real ones: (stored - zero point) * scale, in float32. */
function dequantiseValues(values, tensor) {
  const which = scaleIndex(tensor);
  return Float32Array.from(values, (value, index) =>
    (Number(value) - tensor.zeroPoints[which(index)]) * tensor.scales[which(index)]);
}
