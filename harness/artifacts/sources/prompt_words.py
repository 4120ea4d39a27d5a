"""Words of one token each, of which a prompt of any length is made for runtimes that take text.

What a prompt says does not change how long it takes, but how many tokens it has does. Cutting a text after a token does
not do: the tokenizer may put its end together in another way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from harness.readers.pte import tokenizer_of

log = logging.getLogger(__name__)

# The commonest words of English, which are among the first that any tokenizer learns.
_ENGLISH = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which "
    "one you were all her she there would their we him been has when who will no more if out so up said what its about "
    "than into them can only other time new some could these two may first then do any like my now over such our man "
    "me even most made after also did many before must through back where much your way down should because long each "
    "just state those people too see good make world still own men work here between both life being under never day "
    "same another know while last might us great old year off come since against go came right used take three"
)
_WORDS = tuple(_ENGLISH.split())
# How far the count is verified. Words do not grow together at any distance, so a longer prompt is made of the same.
_VERIFIED_TOKENS = 400

Encode = Callable[[str], list[int]]


def prompt_words(tokenizer: Any, folder: Path) -> tuple[str, ...]:
    """Return words of which any number, with spaces between them, has as many tokens; empty if there are none.

    ``tokenizer`` is that of transformers. Where ExecuTorch's own tokenizers are installed, they must agree.
    """

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    words = single_tokens(encode)
    text = " ".join(islice(cycle(words), _VERIFIED_TOKENS))
    if not words or len(encode(text)) != _VERIFIED_TOKENS:
        return ()
    other = _encoder_of_executorch(folder)
    if other is not None and other(text) != encode(text):
        log.warning("ExecuTorch's tokenizer makes other tokens than that of transformers in %s", folder)
        return ()
    return words


def single_tokens(encode: Encode) -> tuple[str, ...]:
    """Return the words that are one token after a space, beginning with one that is also one token by itself."""
    first = next((word for word in _WORDS if len(encode(word)) == 1 and len(encode(f"{word} {word}")) == 2), None)
    if first is None:
        return ()
    return first, *(word for word in _WORDS if word != first and len(encode(f"{first} {word}")) == 2)


def _encoder_of_executorch(folder: Path) -> Encode | None:
    """ExecuTorch's tokenizer for the folder; None if it is not installed, or cannot read the files."""
    try:
        import pytorch_tokenizers
    except ImportError:
        return None
    for path in tokenizer_of(folder):
        kind = "CppHFTokenizer" if path.suffix == ".json" else "CppSPTokenizer"
        try:
            loaded = getattr(pytorch_tokenizers, kind)()
            loaded.load(str(path))
        except (AttributeError, RuntimeError, ValueError):
            return lambda _: []
        return lambda text: list(loaded.encode(text, 0, 0))
    return None
