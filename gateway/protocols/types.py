"""The seam between a model API's wire format and moderation.

An adapter is pure: bytes or parsed JSON in, places of text out. It never turns a third party's body into classes of
ours: text is addressed in place by its path and everything else is forwarded untouched.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, runtime_checkable

Path = tuple[str | int, ...]
Body = Any  # parsed JSON (or a `bodies` document): a third party's, so its shape is never ours to promise

KEY = -1
"""Marks a path that addresses an object's key and not its value: ``("metadata", KEY, "name")``."""

WHOLE = -1
"""The choice of a text that belongs to no choice (top level of an answer, error objects): blocking it ends all."""


class Coverage(StrEnum):
    """How much of a body was scanned."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"

    def worst(self, other: Coverage) -> Coverage:
        """``full`` with ``full`` is full, ``none`` with ``none`` is none, everything else is partial."""
        return self if self is other else Coverage.PARTIAL


class FrameKind(StrEnum):
    """What a stream frame is to the relay."""

    DATA = "data"  # understood; may carry deltas
    PASS = "pass"  # noqa: S105 - carries no text (comment, ping, usage); keeps its place in the queue
    END = "end"  # the API's own end-of-stream sign
    ERROR = "error"  # an error object inside a 200 stream; its strings are deltas of channel "error"
    UNKNOWN = "unknown"  # not understood: the policy's `unknown` decides


class TextPart(NamedTuple):
    """One text in a body: where it stands, what it is, and the text itself.

    ``channel`` is one of content, reasoning, tool, system, refusal, error, other. ``choice`` is the choice or
    candidate that it belongs to (0 in requests, ``WHOLE`` where an answer's text belongs to none). ``user`` marks what
    the end user wrote last, whose language the refusal is written in. Where the string at ``path`` is itself JSON
    (tool-call arguments), ``text`` is the decoded view, and the adapter maps edits back.
    """

    path: Path
    channel: str
    text: str
    choice: int = 0
    user: bool = False
    continues: bool = False  # its reader sees it directly after the part before it: moderate both as one text


@dataclass(frozen=True, slots=True)
class RequestView:
    """What an adapter read out of a request body."""

    parts: Sequence[TextPart]
    coverage: Coverage
    stream: bool = False
    model: str | None = None
    subject: str | None = None  # the API's own user field, raw; pseudonymised by the caller, never stored
    choices: int = 1
    media: bool = False  # holds images, audio or files that were not read


@dataclass(frozen=True, slots=True)
class ResponseView:
    """What an adapter read out of a whole (not streamed) response body."""

    parts: Sequence[TextPart]
    coverage: Coverage
    media: bool = False


class ChannelKey(NamedTuple):
    """One moderated text of a stream: choice, kind of text, and which of several (tool call number, JSON path)."""

    choice: int
    channel: str
    index: int | str = 0  # type: ignore[assignment]  # shadows tuple.index, which nobody calls


class Delta(NamedTuple):
    """Text that one frame appends to one channel.

    ``held`` counts characters of the channel that this frame holds a piece of but that cannot be read yet (0, or 1 for
    half an escape); they are the first characters of the channel's next delta. The frame may leave only when the
    channel is cleared past ``text`` and those. ``last`` says that nothing follows in this channel: finish it at once.
    """

    key: ChannelKey
    path: Path
    text: str
    held: int = 0
    last: bool = False


class Repeat(NamedTuple):
    """Text of one frame that a channel has said already: its characters ``[start, start + len(text))``.

    It is not judged again. The frame leaves when the channel is cleared past it, and it is masked or withheld as it
    was when it was first said. Where a frame repeats and goes on at the same path (a running total), the edits of the
    repeat and of the delta come one after the other, each for its own characters.
    """

    key: ChannelKey
    path: Path
    text: str
    start: int = 0


@dataclass(slots=True)
class Frame:
    """One frame of a stream exactly as it came (``raw``, separators included), with the texts that it carries.

    ``choices`` are the choices that the frame speaks of (none: it belongs to the whole stream, such as usage), ``ends``
    those that end with it. ``closes`` are channels to finish after this frame's deltas: nothing more comes in them.
    ``media`` says that it carries audio or images, which were not read. ``repeats`` are texts that it says again.
    """

    raw: bytes
    kind: FrameKind
    deltas: Sequence[Delta] = ()
    body: Body = None
    note: Any = None  # whatever the decoder must remember to edit this frame later
    choices: Sequence[int] = ()
    ends: Sequence[int] = ()
    closes: Sequence[ChannelKey] = ()
    media: bool = False
    repeats: Sequence[Repeat] = ()


class Edit(NamedTuple):
    """Replacement for the text of one delta or part: the final text that stands at ``path``.

    For a delta it covers ``text`` and the ``held`` characters after it (so the caller passes the channel's characters
    ``[start, start + len(text) + held)``, masked). Same length when masking, shorter when cutting at a block.
    """

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Everything that an adapter needs to tell a client that its text was stopped."""

    message: str  # the policy's refusal text in the language of the conversation
    decision_id: str
    categories: Sequence[str]
    action: str = "block"
    created: int = 0  # Unix seconds, for APIs whose answers carry a time (adapters have no clock)
    paths: Sequence[Path] = ()  # where in the body the stopped texts stand, for APIs whose errors say so


class StreamDecoder(Protocol):
    """Decoder and editor of one response stream. Terminal after ``finish`` or an exception."""

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes in any cut and return the frames that are complete.

        Raises:
            gateway.sse.FrameTooLarge: a frame exceeds the bound.
        """

    def finish(self) -> list[Frame]:
        """The upstream closed: return what is left (a frame that cannot be read whole comes as UNKNOWN)."""

    def edit(self, frame: Frame, edits: Sequence[Edit], ended: Collection[int] = ()) -> bytes:
        """The frame with the texts at these paths replaced; other text of it that repeats them is withheld too.

        ``ended`` are choices that were blocked: of those only the texts in ``edits`` stay (the part before the cut),
        and their terminal sign is withheld. ``b""`` when nothing is left to send. An edit that moves no character is
        allowed. An UNKNOWN or ERROR frame may be edited too.
        """

    def refuse_choice(self, choice: int, refusal: Refusal) -> bytes:
        """Frames that end one choice: refusal text where the API has a place for it, and its terminal sign.

        ``WHOLE`` ends every choice that has not ended yet.
        """

    def close(self, refusal: Refusal | None) -> bytes:
        """Frames that end the whole stream after every choice was refused (``data: [DONE]`` where the API has it)."""

    def error(self, status: int, message: str, code: str, refusal: Refusal | None = None) -> bytes:
        """The API's error frame, as it ends a stream (its end sign included)."""


@runtime_checkable
class CountingDecoder(Protocol):
    """A stream decoder whose API numbers what it sends (blocks, events), so that a refusal depends on what has left.

    It learns that from ``edit`` where the frame of the block is cut; where nothing of the queue is cut, from this.
    """

    def ends_before(self, frame: Frame) -> None:
        """A choice or the stream ends now: the client has every frame before this one, and will not get it."""


class ProtocolAdapter(Protocol):
    """One model API."""

    name: str

    def read_body(self, raw: bytes, content_type: str, *, strict: bool) -> Body:
        """Parse a request (``strict``) or response body; ``None`` when it is empty.

        Raises:
            gateway.protocols.jsontext.InvalidJSON: not JSON although it must be (400; of a response: ``unknown``).
            gateway.protocols.jsontext.AmbiguousJSON: two readers could understand it differently (as above).
            gateway.protocols.bodies.Unreadable: neither text nor JSON: the policy's ``unknown`` decides.
        """

    def read_request(self, body: Body) -> RequestView:
        """Find every text in a request body."""

    def read_response(self, body: Body) -> ResponseView:
        """Find every text in a whole response body."""

    def edit(self, body: Body, edits: Sequence[Edit]) -> bytes:
        """The body, re-serialised, with the texts at these paths replaced (and what repeats them withheld)."""

    def open_stream(
        self, request: RequestView, request_body: Body, content_type: str = "text/event-stream"
    ) -> StreamDecoder:
        """A decoder for the answer to this request, when it comes as a stream of this content type."""

    def refusal(self, request: RequestView, request_body: Body, refusal: Refusal) -> tuple[int, str, bytes] | None:
        """Status, content type and body of a refusal in the API's shape, streamed if the request asked for a stream.

        ``None`` where the API has no place for a refusal text: the caller uses the error form.
        """

    def refuse_response(self, body: Body, blocked: Mapping[int, Refusal], edits: Sequence[Edit] = ()) -> bytes | None:
        """A whole response with the blocked choices refused and ``edits`` made in the other choices.

        A key ``WHOLE`` refuses every choice and withholds all other text. ``None`` where the API has no place for a
        refusal text: the caller uses the error form.
        """

    def error(self, status: int, message: str, code: str, refusal: Refusal | None = None) -> bytes:
        """The API's error body."""


class Addressed(ABC):
    """An adapter of an API whose request line or headers say what its bodies do not (the model, whether it streams).

    Attributes:
        stream_types: media types, besides those that always are, in which its answers are streams.
    """

    stream_types: frozenset[str] = frozenset()

    @abstractmethod
    def addressed(self, target: str, header: Callable[[bytes], bytes]) -> ProtocolAdapter:
        """The adapter for this request.

        Args:
            target: path and query as the client sent them.
            header: the value of a request header by its name in lower case, empty where it is absent.
        """


class Binary:
    """An adapter of an API whose answers may be binary.

    Attributes:
        media_types: beginnings of media types of answers that are pictures or sound: the policy's ``media`` decides.
        document_types: media types of answers that are read whole by ``read_body``, though elsewhere they would be
            streams or nothing that can be read.
    """

    media_types: tuple[str, ...] = ()
    document_types: tuple[str, ...] = ()


AdapterFor = Callable[[str, str], ProtocolAdapter]
"""(method, raw path) -> adapter. Spelling tricks of the path never change the answer."""

__all__ = [
    "KEY",
    "WHOLE",
    "AdapterFor",
    "Addressed",
    "Binary",
    "Body",
    "ChannelKey",
    "CountingDecoder",
    "Coverage",
    "Delta",
    "Edit",
    "Frame",
    "FrameKind",
    "Path",
    "ProtocolAdapter",
    "Refusal",
    "Repeat",
    "RequestView",
    "ResponseView",
    "StreamDecoder",
    "TextPart",
]
