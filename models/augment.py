"""Disguises put on texts while a model is trained, and while it is measured.

Safe rows get them as often as unsafe ones: odd spelling alone must be no sign of guilt. The kinds are those that people
use against filters: separators, zero-width characters, full width, traditional characters, characters of one sound,
pinyin in place of a character, emoji between characters.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from models.dataset import Row

_HAN = re.compile("[\u4e00-\u9fff]")
_SEPARATORS = (" ", "·", ".", "-", "*", "_", "/", "~", "|", "+", "，", "。", "、", "…")
_INVISIBLE = ("\u200b", "\u200c", "\u2060", "\ufeff")
_EMOJI = ("😀", "🔥", "❤", "👉", "✨", "🌸", "💰", "🎉")
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}

Disguise = Callable[[str, random.Random], str]


DISGUISE_SEED = 5
"""Of the disguises that are measured with, so that two models are measured on the same texts."""


def disguised(rows: Sequence[Row], seed: int) -> list[Row]:
    """Each row once, disguised; the same ones for the same seed."""
    return [replace(row, text=disguise(row.text, random.Random(f"{seed}:{row.text}"))) for row in rows]  # noqa: S311


def disguise(text: str, rng: random.Random) -> str:
    """The text in one disguise, or two."""
    return _dressed(text, _KINDS, rng)


def practice(text: str, rng: random.Random) -> str:
    """The same to learn from: a Chinese text more often in what reading does not undo by itself."""
    return _dressed(text, _CHINESE_PRACTICE if _HAN.search(text) else _KINDS, rng)


def _dressed(text: str, kinds: Sequence[Disguise], rng: random.Random) -> str:
    for kind in rng.sample(kinds, rng.choice((1, 1, 2))):
        text = kind(text, rng)
    return text


def _stretch(text: str, rng: random.Random) -> tuple[int, int]:
    """A part of the text of some characters; people disguise the word that matters, not all of a text."""
    length = min(len(text), rng.randint(2, 12))
    start = rng.randrange(len(text) - length + 1)
    return start, start + length


def _between(text: str, rng: random.Random, marks: tuple[str, ...]) -> str:
    start, end = _stretch(text, rng)
    mark = rng.choice(marks)
    return text[:start] + mark.join(text[start:end]) + text[end:]


def _separated(text: str, rng: random.Random) -> str:
    return _between(text, rng, _SEPARATORS)


def _invisible(text: str, rng: random.Random) -> str:
    return _between(text, rng, _INVISIBLE)


def _with_emoji(text: str, rng: random.Random) -> str:
    return _between(text, rng, _EMOJI)


def _full_width(text: str, rng: random.Random) -> str:  # noqa: ARG001 - a disguise like the others
    return text.translate(_FULL_WIDTH)


def _traditional(text: str, rng: random.Random) -> str:  # noqa: ARG001 - the same
    converted: str = _converter().convert(text)
    return converted


def _same_sound(text: str, rng: random.Random) -> str:
    """Some characters replaced by others of the same sound, the frequent ones first."""
    return _HAN.sub(lambda found: _homophone(found[0], rng) if rng.random() < 0.25 else found[0], text)


def _pinyin(text: str, rng: random.Random) -> str:
    """Some characters written as their sound."""
    return _HAN.sub(lambda found: sound(found[0]) if rng.random() < 0.15 else found[0], text)


def _homophone(char: str, rng: random.Random) -> str:
    others = [other for other in _by_sound().get(sound(char), ()) if other != char]
    return rng.choice(others[:6]) if others else char


@cache
def sound(char: str) -> str:
    """A Chinese character's most frequent reading, without its tone."""
    from pypinyin import Style, lazy_pinyin

    (found,) = lazy_pinyin(char, style=Style.NORMAL)
    return str(found)


@cache
def _by_sound() -> dict[str, list[str]]:
    """Characters of GB 2312's first level, which are in daily use, by their sound."""
    found: dict[str, list[str]] = defaultdict(list)
    for high in range(0xB0, 0xD8):
        for low in range(0xA1, 0xFF):
            char = bytes((high, low)).decode("gb2312", "ignore")
            if char:
                found[sound(char)].append(char)
    return dict(found)


@cache
def _converter() -> Any:
    import opencc

    return opencc.OpenCC("s2t")


_KINDS: tuple[Disguise, ...] = (
    _separated,
    _separated,
    _invisible,
    _with_emoji,
    _full_width,
    _traditional,
    _same_sound,
    _same_sound,
    _pinyin,
)
# One separator less: reading undoes most of them.
_CHINESE_PRACTICE: tuple[Disguise, ...] = (*_KINDS[1:], _same_sound, _same_sound, _same_sound, _pinyin, _pinyin)
