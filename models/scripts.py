"""Which script a text is in, as far as a calibration minds: a model is less sure of the one that it read less of."""

from __future__ import annotations

import re
import unicodedata

HAN = "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003347f]"
"""A pattern of one Han character."""

_HAN = re.compile(HAN)
_LATIN = re.compile("[A-Za-z]")
_LETTERS_A_CHARACTER = 4  # a Han character says about as much as so many letters
_NEAR = 64  # characters of a context that say which script a text without Han is in


def is_latin(text: str, context: str = "") -> bool:
    """Whether a text is mostly in Latin letters, of any width or dress (ｂｕｙ, 𝓫𝓾𝔂).

    What stands before it counts where it has no Han character itself: "ok" in a Chinese talk is Chinese. A clause in
    Chinese stays one however much English stands before it, or padding would hide it. Numbers and signs alone belong
    to no script: they are not Latin here.
    """
    seen = unicodedata.normalize("NFKC", text)
    if _HAN.search(seen) is None:
        seen = unicodedata.normalize("NFKC", context[-_NEAR:]) + seen
    return len(_LATIN.findall(seen)) > _LETTERS_A_CHARACTER * len(_HAN.findall(seen))
