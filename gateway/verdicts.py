"""Verdicts as people and programs read them."""

from __future__ import annotations

from filters.types import Action, Decision


def masked(text: str, decision: Decision) -> str:
    """The text with every character of a match that is masked or blocked as ``*``."""
    pieces, at = [], 0
    for match in sorted(decision.matches, key=lambda match: match.span):
        if match.action is not None and match.action >= Action.MASK and match.span.end > at:
            start = max(at, match.span.start)
            pieces += [text[at:start], "*" * (match.span.end - start)]
            at = match.span.end
    return "".join([*pieces, text[at:]])
