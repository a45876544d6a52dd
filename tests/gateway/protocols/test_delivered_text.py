# ruff: noqa: D102 - the methods of a form are named for what they do
"""Whatever an answer says and however it is cut, each API delivers exactly what may leave."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols.dashscope import DashScope
from gateway.protocols.gemini import Gemini
from gateway.protocols.ollama import Ollama

REFUSAL = "不便回答。"
PIECES = st.lists(st.text("炸药傻瓜好", max_size=4), min_size=1, max_size=8)


def expected(text):
    """What may leave of a text: all before the first block, masked; and the refusal if there is one."""
    at = text.find("炸药")
    return text.replace("傻瓜", "**") if at < 0 else text[:at].replace("傻瓜", "**") + REFUSAL


class OllamaForm:
    adapter, request, kind = Ollama(chat=True), {"messages": []}, "application/x-ndjson"

    def write(self, pieces):
        lines = [{"message": {"content": one}, "done": False} for one in pieces] + [{"message": {}, "done": True}]
        return [json.dumps(one).encode() + b"\n" for one in lines]

    def read(self, data):
        return "".join(json.loads(line)["message"].get("content", "") for line in data.splitlines())


class GeminiForm:
    adapter, request, kind = Gemini("streamgeneratecontent"), {"contents": []}, "application/json"

    def write(self, pieces):
        bodies = [{"candidates": [{"content": {"parts": [{"text": one}]}}]} for one in pieces]
        bodies.append({"candidates": [{"finishReason": "STOP"}]})
        return [(b",\n" if place else b"[") + json.dumps(one).encode() for place, one in enumerate(bodies)] + [b"]"]

    def read(self, data):
        parts = [
            one.get("content", {}).get("parts", []) for body in json.loads(data) for one in body.get("candidates", [])
        ]
        return "".join(part["text"] for found in parts for part in found)


class DashScopeForm:
    adapter, kind = DashScope(multimodal=False), "text/event-stream"

    def __init__(self, *, totals):
        self.totals = totals
        self.request = {"input": {}, "parameters": {"incremental_output": not totals}}

    def write(self, pieces):
        texts = ["".join(pieces[: place + 1]) for place in range(len(pieces))] if self.totals else pieces
        outputs = [{"choices": [{"message": {"content": one}, "finish_reason": "null"}]} for one in texts]
        outputs.append(
            {"choices": [{"message": {"content": texts[-1] if self.totals else ""}, "finish_reason": "stop"}]}
        )
        return [b"data:" + json.dumps({"output": one}).encode() + b"\n\n" for one in outputs]

    def read(self, data):
        lines = [line for line in data.splitlines() if line.startswith(b"data:")]
        bodies = [json.loads(line[5:]) for line in lines]
        texts = [one["message"].get("content", "") for body in bodies for one in body["output"]["choices"]]
        return (texts[-1] if texts else "") if self.totals else "".join(texts)


FORMS = {
    "ollama": OllamaForm(),
    "gemini": GeminiForm(),
    "dashscope totals": DashScopeForm(totals=True),
    "dashscope pieces": DashScopeForm(totals=False),
}


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=150)
@given(pieces=PIECES, size=st.integers(1, 60))
def test_delivered_text_is_exact(played, name, pieces, size):
    """The text that a client reads depends on what the answer says and on nothing else."""
    form = FORMS[name]
    data = b"".join(form.write(pieces))
    cut = [data[at : at + size] for at in range(0, len(data), size)]
    for stream in (cut, form.write(pieces)):
        result = played(form.adapter, form.request, stream, form.kind)
        assert form.read(result.sent) == expected("".join(pieces))
        if "炸药" not in "".join(pieces) and "傻瓜" not in "".join(pieces):
            assert result.sent == data
