"""Seeing through the plainest disguises before a text is cut into tokens.

Traditional characters become simplified ones, and a mark set again and again between single characters falls away
(加·微·信). No row has to teach a model these, and few would: every mark and every character would need its own.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from models.scripts import HAN

READING = 1
"""Names the rule and the table below. It counts up when either changes: a model that learned to read by one does not
mean the same by another."""

TABLE = Path(__file__).parent / "tables" / "simplified.txt"

_RUN = re.compile(rf"{HAN}([\W_]{{1,2}}){HAN}(?:\1{HAN})+")


def unmasked(text: str) -> str:
    """``text`` as it would be written plainly; a text without such disguises stays as it is.

    ``黄、赌、毒`` loses its marks as well: nothing tells them from a disguise, and little hangs on them.
    """
    return _RUN.sub(lambda run: run[0].replace(run[1], ""), text.translate(_simplified()))


@cache
def _simplified() -> dict[int, str]:
    lines = TABLE.read_text("utf-8").splitlines()
    return {ord(line[0]): line[1] for line in lines if not line.startswith("#")}
