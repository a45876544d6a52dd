"""Seeing through the plainest disguises before a text is cut into tokens.

Traditional characters become simplified ones, and marks set between single characters fall away (加·微·信): what stands
on each side of a mark is one character, with another mark beyond it. No row has to teach a model these, and few would:
every mark and every character would need its own.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from models.scripts import HAN

TABLE = Path(__file__).parent / "tables" / "simplified.txt"

_MARK = r"[\W_]"
_BETWEEN = re.compile(rf"(?<={HAN}){_MARK}{{1,2}}(?={HAN}{_MARK})|(?<={_MARK}{HAN}){_MARK}{{1,2}}(?={HAN})")


def unmasked(text: str) -> str:
    """``text`` as it would be written plainly; a text without such disguises stays as it is.

    ``嗯，好，走`` loses its commas as well: nothing tells them from marks, and little hangs on them.
    """
    return _BETWEEN.sub("", text.translate(_simplified()))


@cache
def _simplified() -> dict[int, str]:
    return {ord(line[0]): line[1] for line in TABLE.read_text("utf-8").splitlines()}
