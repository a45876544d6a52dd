"""OpenAI's responses: requests, whole answers, refusals. Streams: ``openai_responses_stream``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.protocols import jsontext
from gateway.protocols import openai_responses_shapes as shapes
from gateway.protocols.about import ApiInfo
from gateway.protocols.openai_places import SUBJECT, joined
from gateway.protocols.openai_responses_places import (
    KEYED,
    KNOWN_KEYS,
    all_logprobs,
    holds_media,
    is_plumbing,
    item_channel,
    logprob_texts,
    mapped,
    view,
    withheld,
)
from gateway.protocols.openai_responses_stream import ResponsesStreamDecoder
from gateway.protocols.openai_shapes import error_body
from gateway.protocols.openai_stream import is_id
from gateway.protocols.types import (
    KEY,
    WHOLE,
    Body,
    Coverage,
    Edit,
    Path,
    Refusal,
    RequestView,
    ResponseView,
    StreamDecoder,
    TextPart,
)

ABOUT = ApiInfo(
    name="OpenAI responses",
    version_read="`openai` 3.54",
    paths="`…/responses`, `…/responses/{id}` and below",
    channels="system (instructions), content (input and output messages, prompt variables), reasoning (summaries), "
    "tool (calls, results, schemas), refusal, other (annotations, metadata, alternatives of tokens); what closing "
    "events repeat is masked and withheld with what was said first",
    refusal='`output: [message]` with the refusal text as `output_text`, `status: "incomplete"`, '
    '`incomplete_details.reason: "content_filter"`',
    cut="open parts get their `done` events, the refusal text is one more part, items are closed, "
    "`response.incomplete` with reason `content_filter`; `sequence_number` goes on",
    error='`{"error": {"message", "type", "code": "content_filter", "param", "sluice"}}`; in a stream `event: error`',
)

_HEADER = frozenset(
    (
        *(
            "id",
            "object",
            "model",
            "created_at",
            "previous_response_id",
            "service_tier",
            "parallel_tool_calls",
            "store",
        ),
        *("temperature", "top_p", "truncation", "background", "max_output_tokens", "usage"),
    )
)
_CHANNELS = {"instructions": "system", "prompt": "content", "tools": "tool", "tool_choice": "tool"}


class OpenAIResponses:
    """``POST …/responses``, and the answers of ``GET …/responses/{id}``."""

    name = "openai.responses"

    def read_body(self, raw: bytes, content_type: str, *, strict: bool) -> Body:  # noqa: ARG002 - always JSON
        """Parse as JSON, whatever the content type says."""
        return jsontext.read_json(raw) if raw else None

    # --- requests --------------------------------------------------------------------------------------------------

    def read_request(self, body: Body) -> RequestView:
        """Every text of a request: known places by their channel, anything else as "other"."""
        if not isinstance(body, dict):
            return RequestView(_loose(body, 0), Coverage.FULL)
        last = _last_user(body.get("input"))
        parts: list[TextPart] = []
        for path, text in jsontext.strings(body):
            if (len(path) == 1 and path[0] in SUBJECT) or is_plumbing(path, text):
                continue
            channel = _request_channel(body, path)
            user = path[:2] == last and channel == "content"
            parts.append(joined(parts, TextPart(path, channel, view(path, text), user=user), path[:3]))
        parts += _keys(body)
        media = holds_media(body.get("input")) or holds_media(body.get("prompt"))
        model = body.get("model")
        return RequestView(
            parts,
            Coverage.PARTIAL if media else Coverage.FULL,
            stream=jsontext.is_on(body.get("stream")),
            model=model if isinstance(model, str) else None,
            subject=next((body[name] for name in SUBJECT if isinstance(body.get(name), str) and body[name]), None),
            media=media,
        )

    # --- whole answers ---------------------------------------------------------------------------------------------

    def read_response(self, body: Body) -> ResponseView:
        """Every text of a response; what stands beside its output belongs to ``WHOLE``."""
        items = _items(body)
        if items is None:
            return ResponseView(_loose(body, WHOLE), Coverage.FULL)
        name = "output" if "output" in body else "data"
        choice = 0 if name == "output" else WHOLE
        parts: list[TextPart] = []
        for path, text in jsontext.strings(body):
            if is_plumbing(path, text) or "logprobs" in path:
                continue
            if path[0] == name and len(path) > 1:
                part = TextPart(path, item_channel(items[int(path[1])], path[2:]), view(path, text), choice)
                parts.append(joined(parts, part, path[:3]))
            else:
                channel = "content" if path == ("output_text",) else _CHANNELS.get(str(path[0]), "other")
                parts.append(TextPart(path, channel, text, choice if channel == "content" else WHOLE))
        for at, tokens, said in all_logprobs(body):
            parts += [TextPart(path, "other", text, choice) for path, text in _tokens(at, tokens, said)]
        media = holds_media(items)
        return ResponseView(parts, Coverage.PARTIAL if media else Coverage.FULL, media)

    def edit(self, body: Body, edits: Sequence[Edit]) -> bytes:
        """The body with these texts replaced; the tokens of an edited text are withheld."""
        return orjson.dumps(_edited(body, edits))

    # --- refusals --------------------------------------------------------------------------------------------------

    def open_stream(
        self,
        request: RequestView,
        request_body: Body,  # noqa: ARG002 - nothing in it changes the stream
        content_type: str = "text/event-stream",  # noqa: ARG002 - this API streams in one way only
    ) -> StreamDecoder:
        """A decoder for the answer to this request."""
        return ResponsesStreamDecoder(request)

    def refusal(self, request: RequestView, request_body: Body, refusal: Refusal) -> tuple[int, str, bytes] | None:
        """A response that says the refusal text and is incomplete because of a content filter."""
        if request.stream:
            decoder = self.open_stream(request, request_body)
            return 200, "text/event-stream", decoder.refuse_choice(0, refusal) + decoder.close(refusal)
        answer = shapes.response(request.model or "", refusal)
        return 200, "application/json", orjson.dumps(shapes.refused(answer, [_refused_message(refusal)]))

    def refuse_response(self, body: Body, blocked: Mapping[int, Refusal], edits: Sequence[Edit] = ()) -> bytes | None:
        """The response with the refusal text in the place of all output; ``WHOLE`` leaves only its header."""
        if not isinstance(body, dict) or not isinstance(body.get("output"), list):
            return None
        refusal = blocked.get(WHOLE) or next(iter(blocked.values()))
        if WHOLE in blocked:
            header = {name: body[name] for name in _HEADER & body.keys() if _is_plain(body[name])}
            kept = {**shapes.response("", refusal), **header}
        else:
            kept = {name: value for name, value in _edited(body, edits).items() if name != "output_text"}
        return orjson.dumps(shapes.refused(kept, [_refused_message(refusal)]))

    def error(self, status: int, message: str, code: str, refusal: Refusal | None = None) -> bytes:
        """OpenAI's error object."""
        return error_body(status, message, code, refusal)


def _loose(body: Body, choice: int) -> list[TextPart]:
    return [TextPart(path, "other", text, choice) for path, text in jsontext.strings(body, keys=True)]


def _request_channel(body: Body, path: Path) -> str:
    if path[0] != "input":
        return _CHANNELS.get(str(path[0]), "other")
    given = body["input"]
    if not isinstance(given, list):
        return "content" if isinstance(given, str) else item_channel(given, path[1:])
    return item_channel(given[int(path[1])], path[2:])


def _last_user(given: Body) -> Path:
    """The path of what the end user wrote last."""
    if not isinstance(given, list):
        return ("input",)
    users = [number for number, item in enumerate(given) if isinstance(item, dict) and item.get("role") == "user"]
    return ("input", users[-1]) if users else ()


def _keys(body: Body) -> list[TextPart]:
    """Names of fields that reach the model."""
    return [
        TextPart(path, "tool" if name == "tools" else "other", text)
        for name in sorted(KEYED & body.keys())
        for path, text in jsontext.strings(body[name], (name,), keys=True)
        if KEY in path[:-1] and text not in KNOWN_KEYS
    ]


def _items(body: Body) -> list[Any] | None:
    """The items of a response, or of a list of items."""
    if not isinstance(body, dict):
        return None
    items = body.get("output", body.get("data"))
    return items if isinstance(items, list) else None


def _tokens(path: Path, tokens: Body, said: object) -> list[tuple[Path, str]]:
    try:
        return list(logprob_texts(path, tokens, said))
    except (TypeError, KeyError):  # not the shape that we know: all of it is text
        return jsontext.strings(tokens, path)


def _edited(body: Body, edits: Sequence[Edit]) -> Body:
    if not edits:
        return body
    changes = mapped(body, edits)
    return withheld(jsontext.replace(body, changes), [edit for edit in changes if KEY not in edit.path[:-1]])


def _is_plain(value: Body) -> bool:
    return is_id(value) if isinstance(value, str) else not jsontext.strings(value, keys=False)


def _refused_message(refusal: Refusal) -> dict[str, Any]:
    return shapes.message(refusal, [shapes.text_part(refusal.message)])


__all__ = ["ABOUT", "OpenAIResponses"]
