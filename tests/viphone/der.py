"""Reading DER (ITU-T X.690), as far as certificates, keys and provisioning profiles need it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

SEQUENCE, INTEGER, BIT_STRING, OCTET_STRING, CONSTRUCTED_OCTETS, OID = 0x30, 0x02, 0x03, 0x04, 0x24, 0x06
CONTEXT_0 = 0xA0
SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # pkcs7-signedData, RFC 5652
# DigestInfo of each digest in PKCS#1 v1.5 (RFC 8017, section 9.2), by the algorithm identifier of the signature.
SIGNATURES = {
    bytes.fromhex("2a864886f70d010105"): ("sha1", bytes.fromhex("3021300906052b0e03021a05000414")),
    bytes.fromhex("2a864886f70d01010b"): ("sha256", bytes.fromhex("3031300d060960864801650304020105000420")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One value: its tag, its contents, and all its bytes."""

    tag: int
    contents: bytes
    whole: bytes

    def children(self) -> list[Node]:
        """The values inside a constructed one; raises `ValueError` if it is broken."""
        return list(nodes(self.contents))


def nodes(data: bytes) -> Iterator[Node]:
    """Read one value after the other; raises `ValueError` if the bytes are no DER."""
    at = 0
    while at < len(data):
        start, tag = at, data[at]
        if at + 2 > len(data):
            msg = "a value without its length"
            raise ValueError(msg)
        size, at = data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        if at + size > len(data):
            msg = f"a value of {size} bytes, of which {len(data) - at} are there"
            raise ValueError(msg)
        yield Node(tag=tag, contents=data[at : at + size], whole=data[start : at + size])
        at += size


def from_pem(data: bytes) -> bytes:
    """The first block of a PEM file; data that is no PEM is returned as it is."""
    block = re.search(rb"-----BEGIN [^-]+-----(.+?)-----END", data, re.DOTALL)
    return base64.b64decode(block[1]) if block else data


@dataclass(frozen=True, slots=True, kw_only=True)
class RsaKey:
    """A public key."""

    modulus: int
    exponent: int

    @classmethod
    def decode(cls, data: bytes) -> RsaKey:
        """Read an RSAPublicKey (RFC 8017, A.1.1), as DER or PEM; raises `ValueError`."""
        modulus, exponent = next(nodes(from_pem(data))).children()[:2]
        return cls(modulus=int.from_bytes(modulus.contents, "big"), exponent=int.from_bytes(exponent.contents, "big"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """An X.509 certificate with an RSA key (RFC 5280, section 4.1)."""

    whole: bytes
    signed_part: bytes
    algorithm: bytes
    signature: bytes
    key: RsaKey

    @classmethod
    def decode(cls, data: bytes) -> Certificate:
        """Read a certificate, as DER or PEM; raises `ValueError` if it is none."""
        outer = next(nodes(from_pem(data)), None)
        parts = outer.children() if outer is not None and outer.tag == SEQUENCE else []
        if outer is None or len(parts) != 3:
            msg = f"not a certificate: {data[:30]!r}"
            raise ValueError(msg)
        body, algorithm, signature = parts
        # serial, algorithm, issuer, validity and subject come before the key; the version is optional.
        fields = [field for field in body.children() if field.tag != CONTEXT_0]
        key = fields[5].children()[1].contents[1:]
        return cls(
            whole=outer.whole,
            signed_part=body.whole,
            algorithm=algorithm.children()[0].contents,
            signature=signature.contents[1:],
            key=RsaKey.decode(key),
        )

    def signed_by(self, key: RsaKey) -> bool:
        """Whether that key signed this certificate (RSASSA-PKCS1-v1_5, RFC 8017, section 8.2.2)."""
        if self.algorithm not in SIGNATURES:
            return False
        name, prefix = SIGNATURES[self.algorithm]
        tail = prefix + hashlib.new(name, self.signed_part).digest()
        size = (key.modulus.bit_length() + 7) // 8
        padded = b"\0\1" + b"\xff" * (size - len(tail) - 3) + b"\0" + tail
        opened = pow(int.from_bytes(self.signature, "big"), key.exponent, key.modulus)
        return opened.to_bytes(size, "big") == padded


def signed_content(data: bytes) -> bytes:
    """What a CMS message carries (RFC 5652, section 5.1); raises `ValueError` if it is none."""
    parts = next(nodes(data)).children()
    if len(parts) != 2 or parts[0].contents != SIGNED_DATA:
        msg = "not a signed message"
        raise ValueError(msg)
    signed = next(nodes(parts[1].contents)).children()
    carried = signed[2].children()
    if len(carried) != 2:
        msg = "the signed message carries nothing"
        raise ValueError(msg)
    return _octets(next(nodes(carried[1].contents)))


def _octets(node: Node) -> bytes:
    if node.tag == CONSTRUCTED_OCTETS:
        return b"".join(_octets(part) for part in node.children())
    return node.contents
