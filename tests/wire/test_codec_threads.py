"""Replies of several phones that arrive at the same moment are decoded by several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conftest import call_python

GOLDEN = Path(__file__).parents[1] / "golden"
SCRIPT = """
import sys, threading
from pathlib import Path
from harness.wire import decode_reply
sys.setswitchinterval(1e-5)
data, together = Path(sys.argv[1]).read_bytes(), threading.Barrier(16)

def decode():
    together.wait()
    decode_reply(data)

threads = [threading.Thread(target=decode) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_decode_their_first_reply_together_do_not_crash(tmp_path: Path) -> None:
    reply = next(path for path in sorted(GOLDEN.rglob("*.json")) if "reply" in path.name)
    # Without a decoder that one thread makes, two processes in five ended with SIGSEGV.
    with ThreadPoolExecutor(2) as pool:
        called = list(pool.map(lambda _: call_python("-c", SCRIPT, str(reply), cwd=tmp_path), range(8)))
    assert [(one.code, one.err) for one in called] == [(0, "")] * 8
