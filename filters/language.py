"""Which language a refusal is written in: Chinese or English, from the conversation's own text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

Language = Literal["zh", "en"]

LOOKED_AT = 2_000
"""Characters read from the end of each text: what was said last tells the language, and long texts stay cheap."""

# Kana and Hangul count as other letters: a reader of Japanese is better served in English than in Chinese.
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_WORD = re.compile(r"[^\W\d_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]+")


def language_of(text: str) -> Language | None:
    """Tell the language of one text, ``None`` where it has no letters (digits, emoji, punctuation).

    Mixed text is Chinese from one Han character per foreign word: ``解释一下 TCP 拥塞控制`` is a Chinese question.
    """
    tail = text[-LOOKED_AT:]
    if _KANA.search(tail):
        return "en"
    han = len(_HAN.findall(tail))
    words = len(_WORD.findall(tail))
    if not han and not words:
        return None
    return "zh" if han >= words else "en"


def choose(texts: Iterable[str], default: Language = "zh") -> Language:
    """Choose from a conversation's texts, the most telling first: the last user text, then those before it."""
    for text in texts:
        language = language_of(text)
        if language is not None:
            return language
    return default
