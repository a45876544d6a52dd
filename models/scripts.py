"""Which script a text is in, as far as a calibration minds: a model is less sure of the one that it read less of."""

from __future__ import annotations

import re
import unicodedata

HAN = "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003347f]"
"""A pattern of one Han character."""

_HAN = re.compile(HAN)
_LATIN = re.compile("[A-Za-z]")
_LETTERS_A_CHARACTER = 4  # a Han character says about as much as so many letters


def is_latin(text: str, context: str = "") -> bool:
    """Whether a text is mostly in Latin letters, what stands before it included; of any width or dress (ｂｕｙ, 𝓫𝓾𝔂).

    Numbers and signs alone belong to no script: they are not Latin here.
    """
    seen = unicodedata.normalize("NFKC", context + text)
    return len(_LATIN.findall(seen)) > _LETTERS_A_CHARACTER * len(_HAN.findall(seen))
