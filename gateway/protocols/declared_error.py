"""How a declaration that cannot be used is told; apart from the schema, which takes 14 MB and serves few operators."""

from __future__ import annotations

from filters.policy_text import PolicyError

MAX_BYTES = 2**20
"""Bytes of a file of declarations."""

DeclarationError = PolicyError
"""A declaration that cannot be used: in which file, on which line (if known), and why."""
