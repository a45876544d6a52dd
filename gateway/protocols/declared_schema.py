"""What a declaration of a model API may say: the shape of the YAML, checked.

``Declarations.parse_yaml`` reads a file; ``gateway.protocols.declared`` makes an adapter of each API in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from filters import policy_text
from filters.policy_rules import Frozen
from gateway.protocols.declared_error import MAX_BYTES, DeclarationError
from gateway.protocols.declared_paths import Expression, PathError, Wildcard, parse
from gateway.protocols.declared_templates import check_template, holds_message


def _expression(value: object) -> Expression:
    if isinstance(value, Expression):
        return value
    if not isinstance(value, str):
        msg = f"a path is text such as messages[*].content, unlike {value!r}"
        raise ValueError(msg)  # noqa: TRY004 - pydantic takes a ValueError for a finding
    try:
        return parse(value)
    except PathError as error:
        raise ValueError(str(error)) from None


def _single(expression: Expression) -> Expression:
    if not expression.is_single:
        msg = f"{expression.text!r} must name one place: no [*] and no *"
        raise ValueError(msg)
    return expression


def _template(value: Any) -> Any:
    check_template(value)
    return value


def _told(value: Any) -> Any:
    _template(value)
    if not holds_message(value):
        msg = "has no place for {message}, the text that the client is to read"
        raise ValueError(msg)
    return value


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


_AS_TEXT = (
    BeforeValidator(_expression),
    PlainSerializer(lambda expression: expression.text, return_type=str),
    WithJsonSchema({"type": "string"}),
)
Place = Annotated[Expression, *_AS_TEXT]
SinglePlace = Annotated[Expression, AfterValidator(_single), *_AS_TEXT]
Word = StrictStr | StrictBool | StrictInt | StrictFloat | None
Words = Annotated[tuple[Word, ...], BeforeValidator(_listed)]
Conditions = dict[str, Words]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Channel = Literal["content", "reasoning", "tool", "system", "refusal", "other"]
Role = Literal["user", "assistant", "system", "developer", "tool"]
Template = Annotated[Any, AfterValidator(_template)]
Told = Annotated[Any, AfterValidator(_told)]


def _conditions(value: Conditions) -> Conditions:
    for text in value:
        _single(_expression(text))
    return value


Fields = Annotated[Conditions, AfterValidator(_conditions)]


class TextPlace(Frozen):
    """Where texts stand in a whole body."""

    path: Place
    """The places, such as messages[*].content."""
    channel: Channel | None = None
    """What kind of text it is; left out, its role says so: system, tool or content."""
    json_inside: StrictBool = Field(default=False, alias="json")
    """The text is itself a JSON document; its escapes are undone before it is judged."""
    join: StrictBool | None = None
    """Neighbours in the innermost list are one text; left out, they are where the path has two lists or more."""

    @model_validator(mode="after")
    def _joins_something(self) -> Self:
        if self.join and self.path.lists == 0:
            msg = f"join: the path {self.path.text!r} has no list whose items could be joined"
            raise ValueError(msg)
        return self

    @property
    def joins(self) -> bool:
        """Whether neighbours are one text."""
        return self.path.lists > 1 if self.join is None else self.join


class RequestText(TextPlace):
    """Where texts stand in a request."""

    role: Role | None = None
    """Who says it."""
    role_at: Place | None = None
    """Where that stands, such as messages[*].author; its wildcards are those of the path."""
    roles: dict[str, Role] = Field(default_factory=dict)
    """The API's own words for roles, such as human: user."""

    @model_validator(mode="after")
    def _one_role(self) -> Self:
        if self.role is not None and self.role_at is not None:
            msg = "give `role` or `role_at`, not both"
            raise ValueError(msg)
        if self.role_at is not None and not _shares_wildcards(self.role_at, self.path):
            msg = f"role_at {self.role_at.text!r} has other lists than the path {self.path.text!r}"
            raise ValueError(msg)
        return self


class StreamText(Frozen):
    """Where texts stand in an event of a stream."""

    path: Place
    """The places, such as parts[*].text."""
    channel: Channel = "content"
    """What kind of text it is."""
    delta: Literal["append", "total", "whole", "repeat"] = "append"
    """append: new text; total: all of it so far; whole: a text by itself; repeat: what was said, once more."""
    name: Annotated[str, Field(pattern=r"^[\w.-]{0,64}$")] = ""
    """Which text of this channel, where a choice has several."""
    number_at: Place | None = None
    """Where it stands which of several texts of a list this is; left out, its position says so."""
    json_inside: StrictBool = Field(default=False, alias="json")
    """The text is itself a JSON document."""

    @model_validator(mode="after")
    def _counts_alike(self) -> Self:
        if self.number_at is not None and not _shares_wildcards(self.number_at, self.path):
            msg = f"number_at {self.number_at.text!r} has other lists than the path {self.path.text!r}"
            raise ValueError(msg)
        return self


class Asked(Frozen):
    """A header that asks for a stream."""

    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
    """Its name."""
    value: Annotated[str, Field(min_length=1, max_length=64)]
    """Its value, or a part of it."""


class Leaving(Frozen):
    """What is left out of a body."""

    ignore: tuple[Place, ...] = ()
    """Places of ids, times and words of the API's own: not judged while they look like such."""
    media: tuple[Place, ...] = ()
    """Places of pictures, sound and files in base64: the policy's `media` decides."""


class RequestShape(Leaving):
    """What a request looks like."""

    texts: tuple[RequestText, ...] = ()
    """The texts that the model reads; all other strings are judged as channel other."""
    stream: SinglePlace | Asked | Literal["always", "never"] | None = None
    """What asks for a stream: a field, a header, always, or never."""
    model: SinglePlace | None = None
    """Field of the model's name."""
    user: SinglePlace | None = None
    """Field of the user's id; it is stored as a pseudonym only."""
    choices: SinglePlace | None = None
    """Field of how many answers are wanted."""


class Counted(Leaving):
    """A body that holds one answer or several."""

    choices: Place | None = None
    """The list of answers, such as outputs[*]; left out, there is one."""
    number: Place | None = None
    """Where an answer's number stands; left out, its position is its number."""
    withhold: tuple[Place, ...] = ()
    """What repeats the text in another form (tokens, sound): left out of a body whose text was changed."""

    @model_validator(mode="after")
    def _are_counted(self) -> Self:
        if self.choices is not None and (self.choices.lists != 1 or self.choices.steps[-1] is not Wildcard.ITEM):
            msg = f"choices {self.choices.text!r} must name the items of one list, such as outputs[*]"
            raise ValueError(msg)
        if self.number is not None:
            inside = self.choices is not None and self.choices.begins(self.number) and self.number.lists == 1
            if not (inside or (self.choices is None and self.number.is_single)):
                msg = f"number {self.number.text!r} must stand below choices, or name one place where there are none"
                raise ValueError(msg)
        return self


class AnswerShape(Counted):
    """What a whole answer looks like."""

    texts: Annotated[tuple[TextPlace, ...], Field(min_length=1)]
    """The texts that the client reads."""
    id: SinglePlace | None = None
    """Field of the answer's id, for {id} in templates."""


class EventShape(Counted):
    """One kind of event of a stream. The first that fits an event reads it."""

    event: str | None = None
    """Name of the server-sent event."""
    where: Fields = Field(default_factory=dict)
    """Fields and the values that they must have."""
    has: tuple[SinglePlace, ...] = ()
    """Fields that must be there."""
    texts: tuple[StreamText, ...] = ()
    """The texts of such an event."""
    ends: StrictBool | Place | Conditions = False
    """The event ends its answer: always (true), if this field says something, or if these fields have these values."""
    open: dict[str, Word] = Field(default_factory=dict)
    """What stands in fields of `ends` while an answer goes on; left out, false in place of true, else null."""
    end: StrictBool = False
    """The event ends the stream."""
    error: StrictBool = False
    """The event is an error."""

    @model_validator(mode="after")
    def _ends_choices(self) -> Self:
        for place in self.ending:
            if not (place.is_single or (self.choices is not None and self.choices.begins(place) and place.lists == 1)):
                msg = f"ends: {place.text!r} must stand below choices, or name one place"
                raise ValueError(msg)
        unknown = sorted(self.open.keys() - {place.text for place in self.ending})
        if unknown:
            msg = f"open: {unknown[0]!r} is no field of `ends`"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if self.ends is True and any(text.delta in ("append", "total") for text in self.texts):
            msg = "an event that brings text and always ends its answer cannot be cut: name the field that says it"
            raise ValueError(msg)
        names = [(text.channel, text.name, text.path.lists) for text in self.texts if text.delta in ("append", "total")]
        twice = next((one for one in names if names.count(one) > 1), None)
        if twice is not None:
            msg = f"two texts of channel {twice[0]!r} in one event: give each a `name`"
            raise ValueError(msg)
        return self

    @property
    def ending(self) -> Mapping[Expression, tuple[Word, ...] | None]:
        """The fields that say the end, with their values (``None``: any that says something)."""
        if isinstance(self.ends, Expression):
            return {self.ends: None}
        if isinstance(self.ends, dict):
            return {_expression(text): values for text, values in self.ends.items()}
        return {}


class StreamShape(Leaving):
    """What a streamed answer looks like. What is left out of each event is added to what its own entry leaves out."""

    format: Literal["sse", "ndjson", "json-array"]
    """How events stand in the stream."""
    content_types: tuple[Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$")], ...] = ()
    """Media types of streams, besides those that always are."""
    events: Annotated[tuple[EventShape, ...], Field(min_length=1, max_length=64)]
    """The kinds of events."""
    end: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Data of the event that ends the stream where that is no JSON, such as [DONE]."""
    id: SinglePlace | None = None
    """Field of the answer's id in its events, for {id} in templates."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways: dict[tuple[str, str], str] = {}
        for text in (text for event in self.events for text in event.texts if text.delta in ("append", "total")):
            known = ways.setdefault((text.channel, text.name), text.delta)
            if known != text.delta:
                msg = f"channel {text.channel!r} is append and total: use `delta: repeat`, or give one a `name`"
                raise ValueError(msg)
        return self


class FrameTemplate(Frozen):
    """One event to be sent."""

    event: Annotated[str, Field(pattern=r"^[\w.-]{1,64}$")] | None = None
    """Its name, where events have one."""
    data: Template
    """JSON or text with placeholders."""


class RefusalShape(Frozen):
    """How an answer is refused."""

    answer: Told
    """The whole answer; with `choices`, its list holds one answer, which stands for each."""
    stream: tuple[FrameTemplate, ...] = ()
    """The events that end one answer of a stream."""
    close: tuple[FrameTemplate, ...] | None = None
    """The events that end a stream; left out, the one that `stream.end` says."""

    @model_validator(mode="after")
    def _says_it(self) -> Self:
        if self.stream and not any(holds_message(frame.data) for frame in self.stream):
            msg = "stream: no event has a place for {message}, the text that the client is to read"
            raise ValueError(msg)
        return self


class ErrorShape(Frozen):
    """How an error is told."""

    answer: Told
    """The body."""
    stream: tuple[FrameTemplate, ...] = ()
    """The events; left out, one with the body."""

    @model_validator(mode="after")
    def _says_it(self) -> Self:
        if not isinstance(self.answer, dict):
            msg = "answer: must be a mapping, so that the decision can be told in it"
            raise ValueError(msg)  # noqa: TRY004 - pydantic takes a ValueError for a finding
        if self.stream and not any(holds_message(frame.data) for frame in self.stream):
            msg = "stream: no event has a place for {message}"
            raise ValueError(msg)
        return self


class Declaration(Frozen):
    """One model API."""

    name: Name
    """Its name in logs, metrics and records."""
    paths: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    """Patterns such as POST /v2/talk; * is one segment or a part of one, ** any number of segments."""
    override: StrictBool = False
    """It also reads paths that Sluice knows as another API's."""
    request: RequestShape = RequestShape()
    """What is sent."""
    answer: AnswerShape
    """What comes back whole."""
    stream: StreamShape | None = None
    """What comes back in pieces."""
    refusal: RefusalShape | None = None
    """How a refusal looks; left out, the error form is used."""
    error: ErrorShape | None = None
    """How an error looks; left out, as OpenAI writes it."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.refusal is not None:
            self._check_refusal(self.refusal)
        if self.stream is None and self.error is not None and self.error.stream:
            msg = "error.stream is said, and there is no `stream`"
            raise ValueError(msg)
        if self.stream is not None:
            for where, frame in self._frames():
                if self.stream.format != "sse" and frame.event is not None:
                    msg = f"{where}: only server-sent events have names"
                    raise ValueError(msg)
                if self.stream.format == "json-array" and isinstance(frame.data, str):
                    msg = f"{where}: an element of a JSON array is JSON"
                    raise ValueError(msg)
        return self

    def _check_refusal(self, refusal: RefusalShape) -> None:
        if (self.stream is not None) != bool(refusal.stream):
            missing = "refusal.stream must say how a stream is refused" if self.stream else "there is no `stream`"
            msg = f"refusal: {missing}"
            raise ValueError(msg)
        if self.answer.choices is not None:
            items = [value for _, value in self.answer.choices.find(refusal.answer)]
            if len(items) != 1:
                msg = f"refusal.answer: must hold one answer at {self.answer.choices.text}, which stands for each"
                raise ValueError(msg)

    def _frames(self) -> Iterator[tuple[str, FrameTemplate]]:
        if self.refusal is not None:
            yield from (("refusal.stream", frame) for frame in self.refusal.stream)
            yield from (("refusal.close", frame) for frame in self.refusal.close or ())
        if self.error is not None:
            yield from (("error.stream", frame) for frame in self.error.stream)


class Declarations(Frozen):
    """A file of declarations."""

    version: Literal[1] = 1
    """Version of this format."""
    apis: tuple[Declaration, ...]
    """The APIs."""

    @classmethod
    def parse_yaml(cls, text: str, name: str) -> tuple[Self, policy_text.Lines]:
        """Read a file; also the line of everything in it.

        Raises:
            DeclarationError: it cannot be used; file, line and reason.
        """
        if len(text) > MAX_BYTES:
            msg = f"more than {MAX_BYTES} characters"
            raise DeclarationError(name, None, msg)
        data, lines = policy_text.read_yaml(text, name)
        if not isinstance(data, dict):
            raise DeclarationError(name, 1, "must be a mapping with `version: 1` and `apis:`")
        try:
            return cls.model_validate(data), lines
        except ValidationError as error:
            raise policy_text.explain(error, name, lines, _known_keys()) from None

    @classmethod
    def schema(cls) -> dict[str, Any]:  # type: ignore[override]  # pydantic's deprecated method of this name
        """Give the JSON Schema of the YAML, for editors."""
        schema = cls.model_json_schema(by_alias=True, mode="validation")
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Sluice declared APIs"}


def _shares_wildcards(one: Expression, other: Expression) -> bool:
    """Whether the wildcards of one stand in another at the same places, and so can be filled in alike."""
    for number, step in enumerate(one.steps):
        if isinstance(step, Wildcard) and one.steps[: number + 1] != other.steps[: number + 1]:
            return False
    return True


def is_said(value: Any, wanted: tuple[Word, ...] | None) -> bool:
    """Whether a field has one of these values, or (``None``) says anything at all."""
    if wanted is None:
        return value not in (None, "", "null", False, 0)
    return any(type(value) is type(one) and value == one for one in wanted)


def _known_keys() -> set[str]:
    models: list[type[Frozen]] = [
        Declarations, Declaration, RequestShape, RequestText, AnswerShape, TextPlace, StreamShape, EventShape,
        StreamText, RefusalShape, ErrorShape, FrameTemplate, Asked,
    ]  # fmt: skip
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


__all__ = [
    "AnswerShape",
    "Asked",
    "Declaration",
    "DeclarationError",
    "Declarations",
    "ErrorShape",
    "EventShape",
    "FrameTemplate",
    "RefusalShape",
    "RequestShape",
    "RequestText",
    "StreamShape",
    "StreamText",
    "TextPlace",
    "is_said",
]
