"""OpenAI's files: uploads of batch requests, each line read as the request that it is, and the batches' results.

A file that is no JSON lines is not read: it is a file inside a known API, so the policy's ``media`` decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from gateway.protocols import bodies, jsontext
from gateway.protocols.about import ApiInfo
from gateway.protocols.jsonlines import JSONLines, read_lines
from gateway.protocols.openai_other import OpenAIFields
from gateway.protocols.openai_shapes import error_body
from gateway.protocols.types import (
    WHOLE,
    AdapterFor,
    Body,
    Coverage,
    Edit,
    Path,
    ProtocolAdapter,
    Refusal,
    RequestView,
    ResponseView,
    TextPart,
)

ABOUT = (
    ApiInfo(
        name="OpenAI files (uploads)",
        version_read="`openai` 3.54",
        paths="`…/files`",
        channels="batch and fine-tuning files: each line as the request of its `url`, by its channels; other (field "
        "names, file names); other files are not read",
        refusal="none: always the error form",
        cut="no streams",
        error='`{"error": {"message", "type", "code": "content_filter", "param": "file", "line", "sluice"}}`: the '
        "number of the first line that is blocked",
    ),
    ApiInfo(
        name="OpenAI files (contents)",
        version_read="`openai` 3.54",
        paths="`…/files/{id}/content`",
        channels="results of batches: each line as the answer that it is; other files are not read",
        refusal="each blocked line as its API refuses, else as an answer of status 400",
        cut="no streams",
        error='`{"error": {"message", "type", "code": "content_filter", "param", "sluice"}}`',
    ),
)

_READ = frozenset(("batch", "fine-tune", "evals"))  # purposes whose files are JSON lines
_WIDTH = 1024  # numbers of choices kept for each line of a result
_BODY: Path = ("response", "body")
# What an answer calls itself -> the path of an API that answers so.
_OBJECTS = {
    "chat.completion": "/v1/chat/completions",
    "text_completion": "/v1/completions",
    "response": "/v1/responses",
    "list": "/v1/embeddings",
}


@dataclass(frozen=True, slots=True)
class Upload:
    """A form that brings a file of JSON lines as its part ``number``."""

    form: bodies.Multipart
    number: int
    lines: JSONLines


class OpenAIFiles(OpenAIFields):
    """``POST …/files``.

    Args:
        adapter_for: the adapter of a request line, for the requests in a file.
    """

    name = "openai.files"

    def __init__(self, adapter_for: AdapterFor) -> None:
        self._adapter_for = adapter_for

    def read_body(self, raw: bytes, content_type: str, *, strict: bool) -> Body:
        """Parse a form, and the JSON lines of its file where its purpose says that it holds some.

        Raises:
            gateway.protocols.bodies.Unreadable: neither a form nor JSON.
        """
        if raw and "multipart/" not in content_type.lower() and raw.lstrip()[:1] not in jsontext.JSON_STARTS:
            msg = "neither a form nor JSON"
            raise bodies.Unreadable(msg)
        body = super().read_body(raw, content_type, strict=strict)
        if isinstance(body, bodies.Multipart):
            purposes = {part.text for part in body.parts if part.name == "purpose"}
            files = [number for number, part in enumerate(body.parts) if part.text is None]
            if purposes & _READ and len(files) == 1:
                return Upload(body, files[0], read_lines(body.parts[files[0]].content))
        return body

    def read_request(self, body: Body) -> RequestView:
        """The form's own texts, and those of every request in its file."""
        if not isinstance(body, Upload):
            return super().read_request(body)
        view = super().read_request(body.form)
        parts = list(view.parts)
        coverage, media = Coverage.FULL, False
        for number, line in enumerate(body.lines.bodies):
            at: Path = (body.number, "line", number)
            found, inner = _line_parts(line, self._request(line))
            parts += [part._replace(path=(*at, *part.path), user=False) for part in found]
            if inner is not None:
                coverage = coverage if coverage is inner.coverage else Coverage.PARTIAL
                media = media or inner.media
        return replace(view, parts=parts, coverage=coverage, media=media)

    def edit(self, body: Body, edits: Sequence[Edit]) -> bytes:
        """The form with these texts replaced, in its fields and in the lines of its file."""
        if not isinstance(body, Upload):
            return super().edit(body, edits)
        lines: dict[int, list[Edit]] = {}
        fields = []
        for edit in edits:
            if edit.path[1:2] == ("line",):
                lines.setdefault(int(edit.path[2]), []).append(Edit(edit.path[3:], edit.text))
            else:
                fields.append(edit)
        changed = {number: self._edited(body.lines.bodies[number], found) for number, found in lines.items()}
        parts = list(body.form.parts)
        parts[body.number] = replace(parts[body.number], content=body.lines.edited(changed))
        return bodies.Multipart(body.form.boundary, tuple(parts)).edited(fields)

    def _edited(self, line: Body, edits: Sequence[Edit]) -> bytes:
        request = self._request(line)
        if request is None:
            return orjson.dumps(jsontext.replace(line, edits))
        path, adapter = request
        return orjson.dumps(_line_edited(line, path, adapter, edits))

    def _request(self, line: Body) -> tuple[Path, ProtocolAdapter] | None:
        """Where the request of a line stands, and who reads it."""
        if not isinstance(line, dict):
            return None
        if isinstance(line.get("url"), str) and "body" in line:
            method = line.get("method")
            return ("body",), self._adapter_for(method if isinstance(method, str) else "POST", line["url"])
        if isinstance(line.get("messages"), list):  # an example to train with
            return (), self._adapter_for("POST", "/v1/chat/completions")
        return None

    def error(self, status: int, message: str, code: str, refusal: Refusal | None = None) -> bytes:
        """OpenAI's error object; of a refusal with the number of the first line that is blocked."""
        body = error_body(status, message, code, refusal)
        numbers = [int(path[2]) + 1 for path in refusal.paths if path[1:2] == ("line",)] if refusal else []
        if not numbers:
            return body
        error: dict[str, Any] = orjson.loads(body)["error"]
        line = min(numbers)
        return orjson.dumps(
            {"error": {**error, "message": f"{message} (line {line} of the file)", "param": "file", "line": line}}
        )


class OpenAIFileContent(OpenAIFields):
    """``GET …/files/{id}/content``.

    Args:
        adapter_for: the adapter of a request line, for the answers in a file.
    """

    name = "openai.file_content"
    media_types = ("image/", "audio/", "video/", "application/pdf", "application/zip")
    document_types = (
        "application/octet-stream",
        "application/jsonl",
        "application/x-ndjson",
        "application/x-jsonlines",
    )

    def __init__(self, adapter_for: AdapterFor) -> None:
        self._adapter_for = adapter_for

    def read_body(self, raw: bytes, content_type: str, *, strict: bool) -> Body:
        """Parse JSON lines; any other file stays bytes."""
        if not raw or strict:
            return super().read_body(raw, content_type, strict=strict)
        try:
            return read_lines(raw)
        except jsontext.InvalidJSON:
            kind = content_type.partition(";")[0].strip().lower()
            return bodies.read_text(raw, content_type) if kind.startswith("text/") else raw

    def read_response(self, body: Body) -> ResponseView:
        """The texts of every answer in the file; each line has numbers of choices of its own."""
        if isinstance(body, bytes):
            return ResponseView((), Coverage.NONE, media=True)
        if isinstance(body, bodies.PlainText):
            return ResponseView([TextPart(path, "content", text, WHOLE) for path, text in body.texts()], Coverage.FULL)
        parts: list[TextPart] = []
        coverage, media = Coverage.FULL, False
        for number, line in enumerate(body.bodies):
            found, inner = _line_parts(line, self._answer(line), answer=True)
            parts += [
                part._replace(path=(number, *part.path), choice=number * _WIDTH + part.choice % _WIDTH)
                for part in found
            ]
            if inner is not None:
                coverage = coverage if coverage is inner.coverage else Coverage.PARTIAL
                media = media or inner.media
        return ResponseView(parts, coverage, media)

    def edit(self, body: Body, edits: Sequence[Edit]) -> bytes:
        """The file with these texts replaced."""
        if isinstance(body, bodies.PlainText):
            return body.edited(edits)
        changed = {number: orjson.dumps(self._edited(body.bodies[number], found)) for number, found in _by_line(edits)}
        return bytes(body.edited(changed))

    def _edited(self, line: Body, edits: Sequence[Edit]) -> Body:
        answer = self._answer(line)
        return jsontext.replace(line, edits) if answer is None else _line_edited(line, *answer, edits)

    def refuse_response(self, body: Body, blocked: Mapping[int, Refusal], edits: Sequence[Edit] = ()) -> bytes | None:
        """The file with each blocked line refused, and ``edits`` made in the others."""
        if not isinstance(body, JSONLines) or WHOLE in blocked:
            return None
        by_line: dict[int, dict[int, Refusal]] = {}
        for choice, refusal in blocked.items():
            inner = choice % _WIDTH
            by_line.setdefault(choice // _WIDTH, {})[WHOLE if inner == _WIDTH - 1 else inner] = refusal
        found = dict(_by_line(edits))
        changed = {
            number: orjson.dumps(self._refused(body.bodies[number], refusals, found.pop(number, [])))
            for number, refusals in by_line.items()
        }
        changed |= {number: orjson.dumps(self._edited(body.bodies[number], more)) for number, more in found.items()}
        return body.edited(changed)

    def _refused(self, line: Body, blocked: Mapping[int, Refusal], edits: Sequence[Edit]) -> Body:
        """A line whose answer is refused; what stands beside the answer stays only where none of it is to blame."""
        answer = self._answer(line)
        refusal = next(iter(blocked.values()))
        if answer is not None and answer[0]:
            path, adapter = answer
            inner = [Edit(edit.path[len(path) :], edit.text) for edit in edits if edit.path[: len(path)] == path]
            refused = adapter.refuse_response(jsontext.get(line, path), blocked, inner)
            if refused is not None:
                ids = {name: line[name] for name in ("id", "custom_id") if WHOLE not in blocked and name in line}
                return {**ids, "response": {"status_code": 200, "body": orjson.loads(refused)}, "error": None}
        error = orjson.loads(error_body(400, refusal.message, "content_filter", refusal))
        ids = {name: line[name] for name in ("id", "custom_id") if isinstance(line, dict) and name in line}
        kept = ids if WHOLE not in blocked else {}
        return {**kept, "response": {"status_code": 400, "body": error}, "error": None}

    def _answer(self, line: Body) -> tuple[Path, ProtocolAdapter] | None:
        """Where the answer of a line stands, and who reads it."""
        try:
            kind = jsontext.get(line, _BODY)["object"]
            return _BODY, self._adapter_for("POST", _OBJECTS[kind])
        except (LookupError, TypeError):
            return None


def _line_parts(
    line: Body, inner: tuple[Path, ProtocolAdapter] | None, *, answer: bool = False
) -> tuple[list[TextPart], RequestView | ResponseView | None]:
    """The texts of one line: of the request or answer in it by its API, all else as "other"."""
    if inner is None:
        choice = WHOLE if answer else 0
        return [TextPart(path, "other", text, choice) for path, text in jsontext.strings(line, keys=True)], None
    path, adapter = inner
    body = jsontext.get(line, path)
    view: RequestView | ResponseView = adapter.read_response(body) if answer else adapter.read_request(body)
    parts = [part._replace(path=(*path, *part.path)) for part in view.parts]
    if path:
        parts += [
            TextPart(at, "other", text, WHOLE if answer else 0)
            for at, text in jsontext.strings(line)
            if at[: len(path)] != path and at not in (("method",), ("url",))
        ]
    return parts, view


def _line_edited(line: Body, path: Path, adapter: ProtocolAdapter, edits: Sequence[Edit]) -> Body:
    """A line with edits of its request or answer made by its API."""
    inner = [Edit(edit.path[len(path) :], edit.text) for edit in edits if edit.path[: len(path)] == path]
    beside = [edit for edit in edits if edit.path[: len(path)] != path]
    edited = jsontext.replace(line, beside)
    if not inner:
        return edited
    body = orjson.loads(adapter.edit(jsontext.get(line, path), inner))
    return _placed(edited, path, body)


def _placed(node: Body, path: Path, body: Body) -> Body:
    if not path:
        return body
    return {**node, path[0]: _placed(node[path[0]], path[1:], body)}


def _by_line(edits: Sequence[Edit]) -> Iterator[tuple[int, list[Edit]]]:
    found: dict[int, list[Edit]] = {}
    for edit in edits:
        found.setdefault(int(edit.path[0]), []).append(Edit(edit.path[1:], edit.text))
    yield from found.items()


__all__ = ["ABOUT", "OpenAIFileContent", "OpenAIFiles"]
