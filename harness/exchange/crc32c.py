"""CRC-32C (Castagnoli, RFC 3720 appendix B.4), masked as in TensorFlow's record files."""

from __future__ import annotations

_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(_entry(byte) for byte in range(256))


def crc32c(data: bytes) -> int:
    """Return the checksum of ``data``."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """Return the checksum rotated and shifted, so that a checksum of data with checksums in it means something."""
    value = crc32c(data)
    return (value >> 15 | value << 17 & 0xFFFFFFFF) + _MASK_DELTA & 0xFFFFFFFF
