"""No string of any recorded frame is a way round: a term in its place never reaches the client."""

import json
from pathlib import Path

import pytest

from gateway.protocols import jsontext
from gateway.protocols.dashscope import DashScope
from gateway.protocols.gemini import Gemini
from gateway.protocols.json_array import JSONArrayDecoder, replace_element
from gateway.protocols.ollama import Ollama
from gateway.protocols.types import Edit
from gateway.sse import NDJSONDecoder, SSEDecoder, replace_data, replace_line

CORPUS = Path(__file__).parents[2] / "corpus"
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "问"}]}], "generationConfig": {"candidateCount": 2}}
QWEN = {"model": "m", "input": {"prompt": "问"}}
CASES = {
    "ollama_chat": (Ollama(chat=True), {"messages": [{"role": "user", "content": "问"}]}, "application/x-ndjson"),
    "ollama_generate": (Ollama(chat=False), {"prompt": "问"}, "application/x-ndjson"),
    "gemini": (Gemini("streamgeneratecontent"), GEMINI, "text/event-stream"),
    "gemini_array": (Gemini("streamgeneratecontent"), GEMINI, "application/json"),
    "dashscope": (
        DashScope(multimodal=False),
        {**QWEN, "parameters": {"incremental_output": False, "n": 2}},
        "text/event-stream",
    ),
    "dashscope_default": (DashScope(multimodal=False), QWEN, "text/event-stream"),
    "dashscope_incremental": (
        DashScope(multimodal=False),
        {**QWEN, "parameters": {"incremental_output": True}},
        "text/event-stream",
    ),
}
FRAMINGS = {
    "text/event-stream": (SSEDecoder, replace_data),
    "application/x-ndjson": (NDJSONDecoder, replace_line),
    "application/json": (JSONArrayDecoder, replace_element),
}
STREAMS = [f"{name}/{path.name}" for name in CASES for path in sorted((CORPUS / name).iterdir())]


def variants(data, kind, word):
    """The stream with each string of each of its events replaced by a word, one at a time."""
    decoder, replaced = FRAMINGS[kind][0](), FRAMINGS[kind][1]
    events = decoder.feed(data) + decoder.finish()
    for number, event in enumerate(events):
        try:
            body = json.loads(event.data or b"")
        except ValueError:
            continue
        for path, _ in jsontext.strings(body):
            changed = json.dumps(jsontext.replace(body, [Edit(path, word)]), ensure_ascii=False).encode()
            yield (
                path,
                [replaced(other.raw, changed) if place == number else other.raw for place, other in enumerate(events)],
            )


@pytest.mark.parametrize("stream", STREAMS)
def test_a_blocked_term_in_any_place(stream, played):
    """Whichever string of a frame is a term, nothing of it leaves, under a policy that lets unknown frames pass."""
    name, _, _ = stream.partition("/")
    adapter, request, kind = CASES[name]
    for path, pieces in variants((CORPUS / stream).read_bytes(), kind, "炸药"):
        result = played(adapter, request, pieces, kind, unknown="pass")
        assert "药" not in result.sent.decode("utf-8", "replace"), path
        assert "\\u836f" not in result.sent.decode("utf-8", "replace"), path
        if kind == "application/json" and result.cancelled:
            json.loads(result.sent)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_masked_term_in_any_place(stream, played):
    """The same for a term that is masked: it is masked there, and nothing else is lost."""
    name, _, _ = stream.partition("/")
    adapter, request, kind = CASES[name]
    for path, pieces in variants((CORPUS / stream).read_bytes(), kind, "大傻瓜。"):
        result = played(adapter, request, pieces, kind, unknown="pass")
        assert "傻" not in result.sent.decode("utf-8", "replace"), path
