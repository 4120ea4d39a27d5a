"""A reply in the phone's log: taken only whole and with its digest."""

from __future__ import annotations

import base64
import gzip
import hashlib

import pytest

from harness.devices.android.app.results import logged_reply

REPLY = b'{"schema": 1, "cell": "c", "launch": 0}'
DATA = base64.b64encode(gzip.compress(REPLY, mtime=0)).decode()
DIGEST = hashlib.sha256(REPLY).hexdigest()
PARTS = [f"reply j7 {number}/3 {DIGEST} {part}" for number, part in enumerate((DATA[:9], DATA[9:20], DATA[20:]), 1)]


def logged(*texts: str) -> str:
    return "".join(f"11-25 10:00:01.000  4711  4720 I phonebench: {text}\n" for text in texts)


def test_the_parts_are_put_together_in_their_order_among_other_lines() -> None:
    text = logged("replied to j7: ok", PARTS[2], "reply j70 1/1 x y", PARTS[0], PARTS[1])
    assert logged_reply(text, "j7") == REPLY


@pytest.mark.parametrize(
    "texts",
    [
        (),
        PARTS[:2],
        (PARTS[0], PARTS[2]),
        tuple(part.replace(DIGEST, "0" * 64) for part in PARTS),
        (PARTS[0], PARTS[1].replace(DATA[9:20], "AAAA!AAAAAA"), PARTS[2]),
        (PARTS[0], PARTS[1], f"reply j7 3/3 {DIGEST} {DATA[20:-8]}"),
    ],
    ids=["none", "end lost", "middle lost", "another digest", "no base64", "cut short"],
)
def test_a_reply_that_is_not_whole_is_none(texts: tuple[str, ...]) -> None:
    assert logged_reply(logged(*texts), "j7") is None
