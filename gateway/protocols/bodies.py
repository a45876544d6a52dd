"""Bodies that are no JSON: plain text, forms. Each is read whole or not at all, and can be written again.

An adapter's ``read_body`` returns one of these in place of parsed JSON; its paths address the texts as in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from gateway.protocols.types import Edit, Path

_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([\w.:-]+)"?', re.IGNORECASE)
_CHARSETS = frozenset(
    ("utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "gbk", "gb2312", "gb18030", "big5")
)
_NAME = re.compile(r'(?<![\w*])(name|filename)="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
MAX_FIELDS = 1000


class Unreadable(ValueError):  # noqa: N818 - named for what was found
    """The body is neither text nor JSON that can be read safely: the policy's ``unknown`` decides."""


@dataclass(frozen=True, slots=True)
class PlainText:
    """A text body; its one text stands at ``()``."""

    text: str
    charset: str = "utf-8"

    def texts(self) -> Iterator[tuple[Path, str]]:
        """The text, unless it is empty."""
        if self.text:
            yield (), self.text

    def edited(self, edits: Sequence[Edit]) -> bytes:
        """The body with its text replaced."""
        return (edits[-1].text if edits else self.text).encode(self.charset)


@dataclass(frozen=True, slots=True)
class Form:
    """An ``application/x-www-form-urlencoded`` body; text n stands at ``(n, "name")`` and ``(n, "value")``."""

    pairs: tuple[tuple[str, str], ...]

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Names and values."""
        for number, (name, value) in enumerate(self.pairs):
            if name:
                yield (number, "name"), name
            if value:
                yield (number, "value"), value

    def edited(self, edits: Sequence[Edit]) -> bytes:
        """The body with these names and values replaced."""
        pairs = list(self.pairs)
        for path, text in edits:
            name, value = pairs[int(path[0])]
            pairs[int(path[0])] = (text, value) if path[1] == "name" else (name, text)
        return urlencode(pairs).encode()


@dataclass(frozen=True, slots=True)
class _Part:
    head: bytes  # with the empty line that ends it
    name: str
    filename: str | None
    content: bytes
    text: str | None  # None: a file, not read

    def edited(self, place: str, text: str) -> _Part:
        if place == "value":
            return replace(self, content=text.encode(), text=text)
        old = self.name if place == "name" else self.filename or ""
        head = self.head.replace(f'{place}="{old}"'.encode(), f'{place}="{text}"'.encode())
        return replace(self, head=head, name=text) if place == "name" else replace(self, head=head, filename=text)


@dataclass(frozen=True, slots=True)
class Multipart:
    """A ``multipart/form-data`` body; part n's texts stand at ``(n, "name" | "filename" | "value")``."""

    boundary: bytes
    parts: tuple[_Part, ...]

    @property
    def files(self) -> bool:
        """Whether it holds files, which are not read."""
        return any(part.text is None for part in self.parts)

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Field names, file names and the values of text fields."""
        for number, part in enumerate(self.parts):
            for place, text in (("name", part.name), ("filename", part.filename), ("value", part.text)):
                if text:
                    yield (number, place), text

    def edited(self, edits: Sequence[Edit]) -> bytes:
        """The body with these texts replaced."""
        parts = list(self.parts)
        for path, text in edits:
            number = int(path[0])
            part = parts[number]
            parts[number] = part.edited(str(path[1]), text)
        mark = b"--" + self.boundary
        return b"".join(mark + b"\r\n" + part.head + part.content + b"\r\n" for part in parts) + mark + b"--\r\n"


def read_text(raw: bytes, content_type: str) -> PlainText:
    """Read a text body in the charset that it declares (UTF-8 if none).

    Raises:
        Unreadable: it is not text in that charset, or the charset is none of those that write ASCII as ASCII.
    """
    named = _CHARSET.findall(content_type)
    charset = named[0].lower() if named else "utf-8"
    if content_type.lower().count("charset") != len(named) or len(named) > 1 or charset not in _CHARSETS:
        msg = "a charset that is not read"
        raise Unreadable(msg)
    try:
        text = raw.decode("gb18030" if charset in ("gbk", "gb2312") else charset)
    except UnicodeDecodeError:
        msg = f"no text in {charset}"
        raise Unreadable(msg) from None
    if "\0" in text:
        msg = "binary"
        raise Unreadable(msg)
    return PlainText(text, charset)


def read_form(raw: bytes) -> Form:
    """Read an urlencoded form.

    Raises:
        Unreadable: not UTF-8 once decoded, or too many fields.
    """
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        msg = "no readable form"
        raise Unreadable(msg) from None
    return Form(tuple(pairs))


def read_multipart(raw: bytes, content_type: str) -> Multipart:
    """Read a multipart form. Strict: what lenient readers could split otherwise is not read.

    Raises:
        Unreadable: anything unusual.
    """
    match = _BOUNDARY.search(content_type)
    if match is None or content_type.lower().count("boundary") != 1 + match.group().lower().count("boundary", 9):
        msg = "a multipart body without a boundary, or with several"
        raise Unreadable(msg)
    boundary = (match.group(1) or match.group(2)).encode()
    mark = b"\r\n--" + boundary
    pieces = (b"\r\n" + raw).split(mark)
    if pieces[0] or pieces[-1].strip(b"\r\n") != b"--" or len(pieces) > MAX_FIELDS:
        msg = "a multipart body that is not cut as its boundary says"
        raise Unreadable(msg)
    return Multipart(boundary, tuple(_read_part(piece) for piece in pieces[1:-1]))


def _read_part(piece: bytes) -> _Part:
    head, separator, content = piece.partition(b"\r\n\r\n")
    try:
        header = head.decode()
    except UnicodeDecodeError:
        header = ""
    names = [(field.lower(), value) for field, value in _NAME.findall(header)]
    fields = dict(names)
    encoded = (
        "content-transfer-encoding" in header.lower() or "filename*" in header.lower() or "charset" in header.lower()
    )
    if not separator or not head.startswith(b"\r\n") or "name" not in fields or len(names) != len(fields) or encoded:
        msg = "a part of a multipart body that two readers could read differently"
        raise Unreadable(msg)
    text = None
    if "filename" not in fields:
        try:
            text = content.decode()
        except UnicodeDecodeError:
            msg = "a field that is not UTF-8"
            raise Unreadable(msg) from None
    return _Part(head[2:] + separator, fields["name"], fields.get("filename"), content, text)


Document = PlainText | Form | Multipart

__all__ = ["Document", "Form", "Multipart", "PlainText", "Unreadable", "read_form", "read_multipart", "read_text"]
