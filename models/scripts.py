"""Which script a text is in, as far as a calibration minds: a model is less sure of the one that it read less of."""

from __future__ import annotations

import re

HAN = "[\u3400-\u9fff\U00020000-\U0003134f]"
"""A pattern of one Han character."""

_HAN = re.compile(HAN)
_LATIN = re.compile("[A-Za-z]")


def is_latin(text: str, context: str = "") -> bool:
    """Whether a text holds Latin letters, and neither it nor what stands before it a Han character.

    Numbers and signs alone belong to no script: they are not Latin here.
    """
    return _LATIN.search(text) is not None and not (_HAN.search(text) or _HAN.search(context))
