"""Reads the container of LiteRT-LM: a FlatBuffer that lists sections, and what two of them say.

Positions of fields are those of ``litertlm_header_schema.fbs``, ``schema.fbs`` (TensorFlow Lite) and the message
``LlmMetadata`` of LiteRT-LM 0.18. The section of the network is a whole ``.tflite`` whose signature ``decode`` takes
the cache of keys and values and returns the logits of one token.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

from harness.readers.flatbuffer import Buffer, Table, opened, root
from harness.readers.protobuf import Message
from harness.readers.tflite import SHAPE, type_of

MAGIC = b"LITERTLM"
_HEADER_ENDS, _HEADER_BEGINS = 24, 32
# Positions of fields in the header, and kinds of sections.
_SECTIONS, _OBJECTS = 1, 0
_BEGIN, _END, _KIND = 1, 2, 3
_NETWORK, _METADATA = 3, 5
_MAX_TOKENS = 5
# Positions of fields in the network.
_SUBGRAPHS, _SIGNATURES, _TENSORS = 2, 7, 0
_INPUTS, _OUTPUTS, _KEY, _SUBGRAPH = 0, 1, 2, 4
_MAP_NAME, _MAP_TENSOR = 0, 1
_SHAPE_SIGNATURE = 7
_DECODE, _CACHE, _LOGITS = "decode", "kv_cache_", "logits"
_ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int16": 2, "int8": 1, "uint8": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class LitertlmFacts:
    """What the file says; None for what it does not.

    ``context``: the most tokens it can hold. ``vocabulary``: the number of its tokens. ``cache_bytes``: the size of its
    cache of keys and values, which does not depend on how much of it is used.
    """

    context: int | None = None
    vocabulary: int | None = None
    cache_bytes: int | None = None


def read_litertlm(path: Path) -> LitertlmFacts:
    """Return what the file at ``path`` says.

    Raises `ValueError` if it is not such a file, or if its end is missing, and `OSError` if it cannot be read.
    """
    size = path.stat().st_size
    if size < _HEADER_BEGINS:
        msg = f"it has {size} bytes, too few for a file of LiteRT-LM"
        raise ValueError(msg)
    with opened(path, magic=MAGIC, what="a file of LiteRT-LM", magic_at=0) as data:
        return _facts(data, size)


def _facts(data: Buffer, size: int) -> LitertlmFacts:
    (ends,) = struct.unpack_from("<Q", data, _HEADER_ENDS)
    sections = [] if ends > size else root(data, _HEADER_BEGINS).table(_SECTIONS).tables(_OBJECTS)
    if ends > size or any(section.u64(_END) > size for section in sections):
        msg = f"its end is missing: the file has {size} bytes, and its header lists more"
        raise ValueError(msg)
    context = vocabulary = cache_bytes = None
    for section in sections:
        begin, end = section.u64(_BEGIN), section.u64(_END)
        match section.byte(_KIND):
            case kind if kind == _METADATA:
                context = Message(data, begin, end).number(_MAX_TOKENS) or None
            case kind if kind == _NETWORK and (decode := _decode(root(data, begin))) is not None:
                vocabulary, cache_bytes = decode
    return LitertlmFacts(context=context, vocabulary=vocabulary, cache_bytes=cache_bytes)


def _decode(model: Table) -> tuple[int | None, int | None] | None:
    """The number of tokens and the size of the cache by the signature ``decode``; None without one."""
    for signature in model.tables(_SIGNATURES):
        if not signature.string(_KEY).startswith(_DECODE):
            continue
        tensors = model.tables(_SUBGRAPHS)[signature.u32(_SUBGRAPH)].tables(_TENSORS)
        cached = [t for name, t in _named(signature, _INPUTS, tensors) if name.startswith(_CACHE)]
        logits = [t for name, t in _named(signature, _OUTPUTS, tensors) if name == _LOGITS]
        sizes = [_bytes(tensor) for tensor in cached]
        total = sum(size for size in sizes if size is not None) if sizes and None not in sizes else None
        shape = logits[0].integers(SHAPE) if logits else ()
        return (shape[-1] if shape and shape[-1] > 1 else None), total
    return None


def _named(signature: Table, which: int, tensors: list[Table]) -> list[tuple[str, Table]]:
    return [(entry.string(_MAP_NAME), tensors[entry.u32(_MAP_TENSOR)]) for entry in signature.tables(which)]


def _bytes(tensor: Table) -> int | None:
    """The size of a tensor; None if a dimension is open, or its type is of no use for a cache."""
    shape, item = tensor.integers(_SHAPE_SIGNATURE) or tensor.integers(SHAPE), _ITEM_BYTES.get(type_of(tensor))
    return math.prod(shape) * item if item is not None and min(shape, default=1) > 0 else None
