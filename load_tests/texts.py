"""Ordinary texts of our own writing, and the OpenAI-shaped bodies that carry them."""

from __future__ import annotations

import json

QUESTION = (
    "我们一家四口打算在国庆假期去江南走一走，老人腿脚不太方便，孩子刚上小学。想请你按四天的时间排一个行程，每天只安排两处地方，"
    "中午要留出休息的时间，晚上住在离车站不远、出门能散步的旅馆。预算大约六千元，不含来回的火车票。另外请说明哪些园林需要提前预约，"
    "雨天可以换成什么室内的去处，以及带孩子坐船时应当注意的事。如果当地有适合老人的清淡菜馆，也请各推荐一家，并写明大概的花费和"
    "排队的情况。最后请把每天的步行距离估算一下，好让我们决定要不要租一辆轮椅。"
)
ANSWER = (
    "可以的，下面按四天来排，每天上午一处，下午一处，中间都留两个小时休息。第一天到苏州后先把行李放在旅馆，下午去一座小园林，"
    "园子里有长廊，下雨也不怕，走完大约一公里半。第二天上午坐船看水巷，船舱低矮，上下船时请让孩子走在大人中间，坐稳以后再拍照；"
    "下午去博物馆，周一闭馆，需要提前三天预约，馆里可以免费借到轮椅。第三天坐半小时的动车去无锡，湖边的步道很平，推着轮椅也好走，"
    "傍晚的风有些凉，给老人备一件外套。第四天留给老街，早点吃汤包和豆花，十点以前人不多，逛完正好回车站。预算方面，住宿三晚大约"
    "一千八百元，吃饭一天四百元，门票和船票合计七百元，市内打车三百元，还剩下一些可以买点心带回家。园林和博物馆都能在公众平台上预约，"
    "雨天可以换成评弹馆或者丝绸博物馆，两处都有座位。清淡的菜馆我推荐在旅馆附近找本地人常去的面馆，一碗面二十多元，中午十一点半以前"
    "几乎不用排队。四天的步行距离分别约为两公里、三公里、三公里半和一公里半，如果老人平时走两公里就觉得累，第二天和第三天可以租轮椅。"
)
MODEL = "bench-model"
CHUNKS = 100


def chosen(options: str) -> dict[str, str]:
    """What the header ``x-bench`` chooses: ``chunks=100;tick=2`` by name; without ``chunks`` it is ``CHUNKS``."""
    return {"chunks": str(CHUNKS), **dict(part.split("=", 1) for part in options.split(";") if "=" in part)}


def request_body(*, stream: bool, question: str = QUESTION) -> bytes:
    """A chat completion request of about one kilobyte."""
    body = {
        "model": MODEL,
        "messages": [{"role": "system", "content": "你是一位细心的旅行顾问。"}, {"role": "user", "content": question}],
        "temperature": 0.7,
        "stream": stream,
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def whole_answer(text: str) -> bytes:
    """A chat completion of about one kilobyte."""
    body = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1700000000,
        "model": MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text[:260]}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 210, "completion_tokens": 200, "total_tokens": 410},
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def frame(token: str, index: int, sent: float | None, *, last: bool = False) -> bytes:
    """One server-sent event; ``sent`` is added as the field ``t`` (seconds on the monotonic clock)."""
    delta = {} if last else {"content": token} if index else {"role": "assistant", "content": token}
    body = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": "stop" if last else None}],
    }
    if sent is not None:
        body["t"] = sent
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
