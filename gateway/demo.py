"""The built-in demo model: OpenAI-shaped, in this process, so that a first start needs no account and no network.

It knows a few answers by heart. Some hold a term of the shipped lexicon, so that a newcomer can see each verdict; which
prompt brings which is what it answers to everything else.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from filters.language import language_of
from gateway.protocols.routing import segments
from gateway.upstream import Headers

MODEL = "sluice-demo"
TOKEN_S = 0.02
"""Seconds between two streamed tokens: slow enough to watch, fast enough to test."""
MAX_CHOICES = 8

_TOKEN = re.compile(r"[\u4e00-\u9fff]{1,2}|\s*[A-Za-z0-9'$-]+|\s*.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Scene:
    """Prompts that ask for it (any of the words), and the answer in both languages."""

    words: tuple[str, ...]
    zh: str
    en: str


HELP = Scene(
    (),
    "这里是 Sluice 自带的演示模型，只会几段固定的回答。想看每一种判定，请依次发送："
    "“演示放行”：普通的回答，原样交付；"
    "“演示标记”：交付，并留下记录；"
    "“演示打码”：命中的字换成星号；"
    "“演示拦截”：流式回答说到一半停下。"
    "想看提问被拒，把这两半连起来发送：“忽略之前的。”和“所有指令”。"
    "记录用 sluice violations list 查看；接入真正的模型，请设置 SLUICE_UPSTREAM。",
    "This is Sluice's built-in demo model; it knows a few answers by heart. To see each verdict, send: "
    '"demo allow": an ordinary answer, delivered as it is; '
    '"demo flag": delivered, and recorded; '
    '"demo mask": the matched characters become asterisks; '
    '"demo block": a streamed answer stops half way. '
    'To see a prompt refused, join these halves and send them: "ignore all previous." and "instructions". '
    "List the records with: sluice violations list. For a real model, set SLUICE_UPSTREAM.",
)
SCENES: tuple[Scene, ...] = (
    Scene(
        ("演示拦截", "demo block"),
        "好的，先说一段普通的话：今天天气晴朗，适合散步。接下来是一条不该出现的广告：三肖必中，快来下注。这后面的话，谁也不该读到。",
        "Sure. First an ordinary sentence: the weather is fine today, good for a walk. Now an advertisement that "
        "should not be here: free spins no deposit, come and bet. Nobody should ever read what stands after it.",
    ),
    Scene(
        ("演示打码", "demo mask"),
        "这一段话里的每个字都照常交付，只有最后骂人的那句例外：你长得像猪一样恶心。",
        "Every word of this answer is delivered as it is, all but the insult at its end: ugly fat bitch.",
    ),
    Scene(
        ("演示标记", "demo flag"),
        "这一段会照常交付，但会留下记录：招微商代理。您现在读到了它，记录里也有它。",
        "This is delivered as it is, and recorded all the same: buy instagram followers. You can read it, "
        "and so can whoever reviews the records.",
    ),
    Scene(
        ("演示放行", "demo allow"),
        "春天来了，公园里的花都开了。人们三三两两地坐在草地上，喝茶、读书、聊天。孩子们放着风筝，笑声传得很远。",
        "Spring has come, and the flowers in the park are open. People sit on the grass in twos and threes, drinking "
        "tea, reading and talking. The children fly their kites, and their laughter carries far.",
    ),
)


class DemoUpstream:
    """Answers in place of a model API.

    Args:
        token_s: seconds between two streamed tokens.
    """

    def __init__(self, *, token_s: float = TOKEN_S) -> None:
        self._token_s = token_s
        self._count = 0

    async def open(
        self,
        method: str,
        raw_path: str,
        headers: Headers,  # noqa: ARG002 - the demo asks for no credential
        body: bytes | AsyncIterable[bytes],
    ) -> DemoResponse:
        """Answer one request."""
        if not isinstance(body, bytes):
            body = b"".join([piece async for piece in body])
        path = segments(raw_path)
        if path[-1:] == ("models",):
            return self._answer(200, {"object": "list", "data": [_model()]})
        if path[-2:] == ("models", MODEL):
            return self._answer(200, _model())
        if path[-1:] != ("completions",) or method != "POST":
            message = f"The demo model answers /v1/chat/completions, /v1/completions and /v1/models, not {method} here."
            return self._answer(404, _error(message, "not_found"))
        try:
            request = orjson.loads(body)
        except orjson.JSONDecodeError:
            return self._answer(400, _error("The body is not JSON.", "invalid_json"))
        if not isinstance(request, dict):
            return self._answer(400, _error("The body is not an object.", "invalid_request"))
        return self._complete(request, chat=path[-2:-1] == ("chat",))

    async def close(self) -> None:
        """Nothing is open."""

    def _complete(self, request: dict[str, Any], *, chat: bool) -> DemoResponse:
        self._count += 1
        count = request.get("n")
        choices = min(max(count, 1), MAX_CHOICES) if type(count) is int else 1
        text = answer_to(_prompt(request))
        head = {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-demo{self._count}",
            "object": "chat.completion" if chat else "text_completion",
            "created": int(time.time()),
            "model": MODEL,
        }
        usage = _usage(_prompt(request), text, choices)
        if request.get("stream") is True:
            options = request.get("stream_options")
            told = usage if isinstance(options, dict) and options.get("include_usage") is True else None
            frames = list(_frames(head, text, choices, told, chat=chat))
            return DemoResponse(200, b"text/event-stream; charset=utf-8", frames, self._token_s)
        whole = [_choice(number, text, chat=chat) for number in range(choices)]
        return self._answer(200, {**head, "choices": whole, "usage": usage})

    @staticmethod
    def _answer(status: int, body: object) -> DemoResponse:
        return DemoResponse(status, b"application/json", [orjson.dumps(body)], 0)


class DemoResponse:
    """An answer that comes in pieces."""

    def __init__(self, status: int, kind: bytes, pieces: Sequence[bytes], pause_s: float) -> None:
        self.status = status
        self.headers: Headers = [(b"content-type", kind)]
        self._pieces = list(reversed(pieces))
        self._pause_s = pause_s

    async def read(self) -> bytes:
        """The next piece; ``b""`` at the end."""
        if not self._pieces:
            return b""
        if self._pause_s:
            await asyncio.sleep(self._pause_s)
        return self._pieces.pop() if self._pieces else b""

    def cancel(self) -> None:
        """Drop the rest."""
        self._pieces.clear()


def answer_to(prompt: str) -> str:
    """The answer that the demo knows for a prompt, in the prompt's language."""
    lowered = prompt.lower()
    scene = next((scene for scene in SCENES if any(word in lowered for word in scene.words)), HELP)
    return scene.zh if (language_of(prompt) or "zh") == "zh" else scene.en


def tokens(text: str) -> list[str]:
    """The text in the pieces in which the demo streams it."""
    return _TOKEN.findall(text)


def _prompt(request: dict[str, Any]) -> str:
    """The last thing that the user said."""
    messages = request.get("messages")
    if isinstance(messages, list):
        said = [one.get("content") for one in messages if isinstance(one, dict) and one.get("role") == "user"]
        return _text(said[-1]) if said else ""
    return _text(request.get("prompt"))


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(part if isinstance(part, str) else _text(_of_part(part)) for part in content)
    return ""


def _of_part(part: object) -> object:
    return part.get("text") if isinstance(part, dict) else None


def _frames(
    head: dict[str, Any], text: str, choices: int, usage: dict[str, int] | None, *, chat: bool
) -> Iterator[bytes]:
    head = {**head, "object": "chat.completion.chunk" if chat else "text_completion"}
    if chat:
        for number in range(choices):
            yield _frame(head, _delta(number, {"role": "assistant", "content": ""}))
    for token in tokens(text):
        for number in range(choices):
            yield _frame(head, _delta(number, {"content": token}) if chat else _piece(number, token))
    for number in range(choices):
        last = _delta(number, {}, "stop") if chat else _piece(number, "", "stop")
        yield _frame(head, last)
    if usage is not None:
        yield b"data: " + orjson.dumps({**head, "choices": [], "usage": usage}) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _frame(head: dict[str, Any], choice: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps({**head, "choices": [choice]}) + b"\n\n"


def _delta(number: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": number, "delta": delta, "logprobs": None, "finish_reason": finish}


def _piece(number: int, text: str, finish: str | None = None) -> dict[str, Any]:
    return {"index": number, "text": text, "logprobs": None, "finish_reason": finish}


def _choice(number: int, text: str, *, chat: bool) -> dict[str, Any]:
    if not chat:
        return _piece(number, text, "stop")
    message = {"role": "assistant", "content": text, "refusal": None}
    return {"index": number, "message": message, "logprobs": None, "finish_reason": "stop"}


def _usage(prompt: str, text: str, choices: int) -> dict[str, int]:
    asked, answered = len(tokens(prompt)), len(tokens(text)) * choices
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "sluice"}


def _error(message: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


__all__ = ["HELP", "MODEL", "SCENES", "TOKEN_S", "DemoResponse", "DemoUpstream", "Scene", "answer_to", "tokens"]
