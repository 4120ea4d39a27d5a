"""The RSA keys of the computers that a phone trusts, and checking signatures against them."""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass

# DigestInfo of SHA-1 in PKCS#1 v1.5 (RFC 8017, section 9.2): adb signs the token as if it were a digest.
SHA1_PREFIX = bytes.fromhex("3021300906052b0e03021a05000414")
MODULUS_BYTES = 256
# Words of the modulus, -1/n mod 2^32, modulus, 2^4096 mod n, exponent; integers are little-endian.
KEY = struct.Struct(f"<II{MODULUS_BYTES}s{MODULUS_BYTES}sI")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """An RSA key of 2048 bits, and its name, such as ``user@host``."""

    modulus: int
    exponent: int
    name: str

    @classmethod
    def decode(cls, data: bytes) -> PublicKey:
        """Read Android's format, base64 followed by a name; raises `ValueError` for anything else."""
        text, _, name = data.rstrip(b"\0").partition(b" ")
        try:
            words, _, modulus, _, exponent = KEY.unpack(base64.b64decode(text, validate=True))
        except (binascii.Error, struct.error) as error:
            msg = f"not a public key of adb: {data[:40]!r}"
            raise ValueError(msg) from error
        if words * 4 != MODULUS_BYTES:
            msg = f"a key of {words * 32} bits; adb's have 2048"
            raise ValueError(msg)
        return cls(modulus=int.from_bytes(modulus, "little"), exponent=exponent, name=name.decode(errors="replace"))

    def signed(self, token: bytes, signature: bytes) -> bool:
        """Whether the signature of the token was made with this key (RSASSA-PKCS1-v1_5, RFC 8017, section 8.2.2)."""
        if len(signature) != MODULUS_BYTES:
            return False
        tail = SHA1_PREFIX + token
        padded = b"\0\1" + b"\xff" * (MODULUS_BYTES - len(tail) - 3) + b"\0" + tail
        opened = pow(int.from_bytes(signature, "big"), self.exponent, self.modulus)
        return opened.to_bytes(MODULUS_BYTES, "big") == padded
