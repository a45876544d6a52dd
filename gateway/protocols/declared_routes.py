"""Which declared API reads a path; every other path is read as it would be without declarations.

Patterns are compared with the path as ``routing`` normalises it, so odd spellings change nothing. A declared API reads
a path that a built-in one knows only where it says ``override: true``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from gateway.protocols import routing
from gateway.protocols.types import ProtocolAdapter

if TYPE_CHECKING:
    from gateway.protocols.declared import DeclaredAPI

OWN = frozenset({("healthz",), ("readyz",), ("v1", "moderations"), ("v1", "guard")})
"""Paths that Sluice answers itself."""
OWN_ENDS = ("beta", "litellm_basic_guardrail_api")
"""What paths end with that Sluice answers itself, whatever stands before it."""

_PATTERN = re.compile(r"(?:([A-Za-z]{1,16}) +)?(/\S{0,512})")
_UNKNOWN = "generic"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A method (``None``: any) and the segments of a path; ``**`` stands for any number of them."""

    text: str
    method: str | None
    head: tuple[str, ...]
    tail: tuple[str, ...] | None  # behind ``**``; ``None`` where there is none

    def fits(self, method: str, parts: tuple[str, ...]) -> bool:
        """Whether a request line is meant."""
        if self.method is not None and self.method != method.upper():
            return False
        if self.tail is None:
            return len(parts) == len(self.head) and _fit(self.head, parts)
        size = len(self.head) + len(self.tail)
        return len(parts) >= size and _fit(self.head, parts) and _fit(self.tail, parts[len(parts) - len(self.tail) :])

    def example(self) -> str:
        """A path that it fits."""
        return "/" + "/".join((*self.head, *(self.tail or ()))).replace("*", "x")


def parse_pattern(text: str) -> Pattern:
    """Read a pattern such as ``POST /v2/*/talk``.

    Raises:
        ValueError: it is none.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        msg = f"{text!r} is no pattern: write a path such as /v2/talk, or a method and a path such as POST /v2/*/talk"
        raise ValueError(msg)
    parts = routing.segments(match[2])
    if parts.count("**") > 1 or any(("**" in part and part != "**") or part.count("*") > 2 for part in parts):
        msg = f"{text!r} may hold ** once, as a segment of its own"
        raise ValueError(msg)
    if any(part.count("*") > 1 for part in parts if part != "**"):
        msg = f"{text!r} may hold * once in each segment"
        raise ValueError(msg)
    if all(not part.strip("*") for part in parts):
        msg = f"{text!r} fits every path: name at least one segment"
        raise ValueError(msg)
    cut = parts.index("**") if "**" in parts else None
    method = match[1].upper() if match[1] else None
    if cut is None:
        return Pattern(text, method, parts, None)
    return Pattern(text, method, parts[:cut], parts[cut + 1 :])


def _fit(patterns: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return all(_fits(pattern, part) for pattern, part in zip(patterns, parts, strict=False))


def _fits(pattern: str, part: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == part
    return len(part) >= len(before) + len(after) and part.startswith(before) and part.endswith(after)


def taken_by(pattern: Pattern) -> str | None:
    """Who reads the path that a pattern shows already: a built-in API, or Sluice itself; ``None``: nobody."""
    path = pattern.example()
    parts = routing.segments(path)
    if parts in OWN or parts[-2:] == OWN_ENDS:
        return "sluice"
    name = routing.adapter_for(pattern.method or "POST", path).name
    return None if name == _UNKNOWN else name


class DeclaredRoutes:
    """The adapters of a set of declared APIs, and the built-in ones behind them.

    Args:
        apis: in the order in which they are tried.
    """

    def __init__(self, apis: Sequence[DeclaredAPI] = ()) -> None:
        self.apis = tuple(apis)
        self._patterns = [
            (parse_pattern(text), api.declaration.override, api) for api in self.apis for text in api.declaration.paths
        ]
        self.adapter_for = lru_cache(maxsize=1024)(self._find) if apis else routing.adapter_for

    def _find(self, method: str, raw_path: str) -> ProtocolAdapter:
        built_in = routing.adapter_for(method, raw_path)
        parts = routing.segments(raw_path)
        free = built_in.name == _UNKNOWN
        for pattern, overrides, api in self._patterns:
            if (free or overrides) and pattern.fits(method, parts):
                return api
        return built_in


__all__ = ["OWN", "OWN_ENDS", "DeclaredRoutes", "Pattern", "parse_pattern", "taken_by"]
