"""JSON read so that no two readers can disagree, walked and edited in place.

``read_json`` is strict: whatever one parser could take for something else than another (duplicate keys, NaN, lone
surrogates, invalid UTF-8, a byte order mark, endless nesting) is an error and never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import orjson

from gateway.protocols.types import KEY, Body, Edit, Path

MAX_DEPTH = 250
"""Nesting that is read. orjson writes at most 254 levels, and what cannot be written cannot be masked."""

_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"

# One string of a JSON text that is known to be valid, and whether it is a key. Possessive: linear on any input.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"([ \t\r\n]*+:)?+')
_CHARSET = re.compile(r"charset\s*\*?=\s*[\"']?([^\s;,\"']+)", re.IGNORECASE)
_HARMLESS = frozenset(("utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "latin-1", "windows-1252"))
_ASCII_INSIDE = ("gb", "big5", "euc-", "windows-125", "cp125", "iso-8859-", "koi8")  # these write ASCII as ASCII
_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})")
_HEAD = 64
JSON_STARTS = (b"{", b"[", b'"')
_SPACED_COLON = re.compile(rb'"[ \t\r\n]+:')


class InvalidJSON(ValueError):  # noqa: N818 - named for what was found
    """The bytes are no JSON that can be read safely. The message says what and where, and quotes nothing."""


class AmbiguousJSON(InvalidJSON):
    """The bytes are JSON that two readers could understand differently."""


def read_json(raw: bytes) -> Body:
    """Parse strictly.

    Raises:
        InvalidJSON: no JSON, nested deeper than ``MAX_DEPTH``, or empty.
        AmbiguousJSON: duplicate keys, lone surrogates, invalid UTF-8, a byte order mark.
    """
    body = read_json_tolerant(raw)
    _refuse_duplicates(raw, body)
    return body


def read_json_tolerant(raw: bytes) -> Body:
    """Parse as most clients do: of duplicate keys the last counts. For the frames of a stream, where time is short.

    Raises:
        InvalidJSON: as ``read_json``.
        AmbiguousJSON: as ``read_json``, but duplicate keys pass.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _reason(raw, error) from None


def _reason(raw: bytes, error: orjson.JSONDecodeError) -> InvalidJSON:
    text = error.msg
    where = f"line {error.lineno} column {error.colno}"
    if "byte order mark" in text or raw.startswith(b"\xef\xbb\xbf"):
        return AmbiguousJSON("the JSON begins with a byte order mark")
    if "not valid UTF-8" in text:
        return AmbiguousJSON("the JSON is not valid UTF-8")
    if "surrogate" in text:
        return AmbiguousJSON(f"half a surrogate pair in a string ({where})")
    if "depth" in text:
        return InvalidJSON(_TOO_DEEP)
    if not raw.strip(b" \t\r\n"):
        return InvalidJSON("the body is empty")
    return InvalidJSON(f"not valid JSON ({where})")


def _refuse_duplicates(raw: bytes, body: Body) -> None:
    # What parses and prints to the very same bytes has no key twice: true of nearly every client's compact JSON.
    try:
        if orjson.dumps(body) == raw and raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
            return
    except (orjson.JSONEncodeError, RecursionError):
        pass  # too deep to print; counted below
    kept = _count_keys(body, 1)
    # Every key written ends with one of these, so that there are no more keys than these; strings may hold them too.
    if raw.count(b'":') + len(_SPACED_COLON.findall(raw)) == kept:
        return
    written = sum(1 for match in _STRING.finditer(raw) if match.group(1) is not None)
    if kept != written:
        raise AmbiguousJSON("an object holds the same key twice")


def _count_keys(node: Body, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise InvalidJSON(_TOO_DEEP)
    if isinstance(node, dict):
        return len(node) + sum(
            _count_keys(value, depth + 1) for value in node.values() if isinstance(value, dict | list)
        )
    if isinstance(node, list):
        return sum(_count_keys(value, depth + 1) for value in node if isinstance(value, dict | list))
    return 0


def strings(node: Body, path: Path = (), *, keys: bool = False) -> list[tuple[Path, str]]:
    """Every string value (and with ``keys`` every object key) below ``node``, in document order, with its path.

    Empty strings are left out.

    Raises:
        InvalidJSON: nested deeper than ``MAX_DEPTH``.
    """
    found: list[tuple[Path, str]] = []
    if type(node) is str:
        if node:
            found.append((path, node))
    elif type(node) is dict or type(node) is list:
        _collect(node, path, found, keys)
    return found


def _collect(node: Body, path: Path, found: list[tuple[Path, str]], keys: bool) -> None:
    if len(path) > MAX_DEPTH:
        raise InvalidJSON(_TOO_DEEP)
    named = keys and type(node) is dict
    for step, value in node.items() if type(node) is dict else enumerate(node):
        if named and step:
            found.append(((*path, KEY, step), str(step)))
        kind = type(value)
        if kind is str:
            if value:
                found.append(((*path, step), value))
        elif kind is dict or kind is list:
            _collect(value, (*path, step), found, keys)


def refuse_charset(raw: bytes, content_type: str) -> None:
    """JSON is UTF-8; a reader that believes another declared charset would read other texts.

    Raises:
        AmbiguousJSON: it is declared in a charset in which these bytes could be another text.
    """
    for name in _CHARSET.findall(content_type):
        charset = name.lower()
        if charset not in _HARMLESS and not (charset.startswith(_ASCII_INSIDE) and raw.isascii()):
            msg = "the JSON is declared in a charset that is not UTF-8"
            raise AmbiguousJSON(msg)


def is_nearly_json(raw: bytes) -> bool:
    """Whether what is no JSON could be taken for some by a lenient reader, whose escapes then say what no one saw."""
    return raw[:_HEAD].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in JSON_STARTS and _ESCAPE.search(raw) is not None


def is_on(value: Body) -> bool:
    """Whether a server takes this value of a boolean field for true; many are lenient."""
    return (
        value is True or value == 1 or (isinstance(value, str) and value.strip().lower() in ("true", "1", "yes", "on"))
    )


def get(body: Body, path: Path) -> Body:
    """What stands at ``path``.

    Raises:
        LookupError: nothing stands there.
    """
    node = body
    for step in path:
        try:
            node = node[step]
        except TypeError:
            raise LookupError(path) from None
    return node


def replace(body: Body, edits: Sequence[Edit]) -> Body:
    """``body`` with the strings (or keys) at these paths replaced. Copies only the containers on the way.

    Raises:
        LookupError: a path leads nowhere.
    """
    if not edits:
        return body
    values = [edit for edit in edits if KEY not in edit.path[:-1]]
    names = [edit for edit in edits if KEY in edit.path[:-1]]
    copied: dict[Path, Body] = {}
    root = body
    for path, text in values:
        if not path:
            return text
        root = _own(root, copied, path[:-1])
        get(root, path[:-1])[path[-1]] = text
    # Keys last and the deepest first: a renamed key would make the paths below it wrong.
    for path, text in sorted(names, key=lambda edit: -len(edit.path)):
        root = _own(root, copied, path[:-2])
        _rename(get(root, path[:-2]), str(path[-1]), text)
    return root


def _own(root: Body, copied: dict[Path, Body], path: Path) -> Body:
    """Shallow copies of the containers on the way to ``path``, each made once."""
    if () not in copied:
        root = copied[()] = root.copy()
    node = root
    for length in range(1, len(path) + 1):
        at = path[:length]
        if at not in copied:
            copied[at] = node[at[-1]] = node[at[-1]].copy()
        node = copied[at]
    return root


def _rename(node: dict[str, Body], old: str, new: str) -> None:
    """Rename one key in its place; a name that is taken gets one more ``*``, so that no value is lost."""
    while new in node and new != old:
        new += "*"
    items = [(new if name == old else name, value) for name, value in node.items()]
    node.clear()
    node.update(items)


__all__ = [
    "JSON_STARTS",
    "MAX_DEPTH",
    "AmbiguousJSON",
    "InvalidJSON",
    "get",
    "is_nearly_json",
    "is_on",
    "read_json",
    "read_json_tolerant",
    "refuse_charset",
    "replace",
    "strings",
]
