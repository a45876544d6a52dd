"""A seeded lexicon of made-up terms, shaped like operators' lists: joined dictionary words, and some Latin ones.

No term occurs in the texts of the load test, so that clean traffic is clean.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import jieba
from texts import ANSWER, QUESTION

SYLLABLES = (
    *("ba", "ke", "lo", "mi", "nu", "po", "ra", "si", "ta", "vo"),
    *("xen", "dor", "gal", "pim", "tus", "wex", "yor", "zan"),
)
CATEGORIES = ["A1.h.gambling", "A1.h.drugs", "A3.e.fraud", "A1.f.sexual", "X.spam"]


def dictionary_words() -> list[str]:
    """The frequent two-character and one-character words of jieba's dictionary, most frequent first."""
    rows = (Path(jieba.__file__).parent / "dict.txt").read_text("utf-8").splitlines()
    counted = [(int(row.split(" ")[1]), row.split(" ")[0]) for row in rows]
    counted.sort(reverse=True)
    return [word for _, word in counted if re.fullmatch(r"[\u4e00-\u9fff]{1,2}", word)][:24_000]


def terms(count: int, seed: int = 7) -> list[str]:
    """``count`` distinct terms; the same for the same seed."""
    draw, words = random.Random(seed), dictionary_words()  # noqa: S311 - repeatable, not secret
    clean = re.sub(r"\W", "", QUESTION + ANSWER)
    chosen: dict[str, None] = {}
    while len(chosen) < count:
        if draw.random() < 0.1:
            term = "".join(draw.choices(SYLLABLES, k=draw.randint(3, 5)))
        else:
            term = "".join(draw.choices(words, k=draw.randint(2, 3)))
        if 2 < len(term) <= 16 and term not in clean:
            chosen[term] = None
    return list(chosen)


def write(path: Path, count: int) -> None:
    """Write a lexicon file in the contract's CSV form."""
    rows = [f"{term},{CATEGORIES[number % len(CATEGORIES)]},block" for number, term in enumerate(terms(count))]
    path.write_text("term,category,action\n" + "\n".join(rows) + "\n", encoding="utf-8")
