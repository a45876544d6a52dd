"""A lexicon as it decides: compiled, and without the terms that it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import orjson

from filters import sound_context, sound_table, tokens
from filters.keyword import KeywordFilter, build_filters
from filters.keyword_index import dump as dump_index
from filters.keyword_index import load as load_index
from filters.lexicon import Lexicon
from filters.types import Filter


class CompiledLexicon:
    """Immutable; made once by :func:`compile_lexicon`, and then loaded from its bytes wherever it decides.

    Attributes:
        version: the lexicon's.
        counts: category code -> how many terms it has.
        filters: what a ruleset scans with.
    """

    __slots__ = ("counts", "filters", "version")

    def __init__(self, version: str, counts: Mapping[str, int], filters: tuple[Filter, ...]) -> None:
        self.version = version
        self.counts = MappingProxyType(dict(counts))
        self.filters = filters

    def __len__(self) -> int:
        return sum(self.counts.values())


def prepare() -> None:
    """Read what texts are looked up in later, once in a process: half a second, where no text waits for it.

    Compiling alone does not need it.
    """
    tokens.load()
    sound_table.read("")
    sound_context.prepare()


def compile_lexicon(lexicon: Lexicon) -> CompiledLexicon:
    """Compile; a second of work for 100,000 terms. Whoever reads texts with it calls :func:`prepare` first."""
    return CompiledLexicon(lexicon.version, lexicon.counts, build_filters(lexicon))


def dump(compiled: CompiledLexicon) -> dict[str, bytes]:
    """The compiled lexicon as named byte strings, for :func:`load` by the same code on a machine of the same kind."""
    parts: dict[str, bytes] = {"about": orjson.dumps({"version": compiled.version, "counts": dict(compiled.counts)})}
    for scanner in compiled.filters:
        if isinstance(scanner, KeywordFilter):
            parts |= dump_index(scanner.index)
    return parts


def load(parts: Mapping[str, bytes]) -> CompiledLexicon:
    """What :func:`dump` wrote.

    Only for bytes that are known to be its own: they are taken as they are, down to addresses in memory.
    """
    about = orjson.loads(parts["about"])
    prepare()
    return CompiledLexicon(about["version"], about["counts"], (KeywordFilter(load_index(parts)),))
