"""What a client was sent of a streamed response, so that it can be ended in order where a text is cut.

Frames are numbered as they are read and leave in that order. A cut says how many of them have left; everything that
began before it and has not ended is closed as the API closes it, with the text that the client has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.protocols import openai_responses_shapes as shapes
from gateway.protocols.types import Body, Refusal

Place = tuple[str, int]
"""A text below an item: ``("content", 0)``, ``("summary", 1)``, ``("arguments", 0)``."""

# Type of a part -> the stem of the event that ends its text, and what ends the part.
_CLOSING = {
    "output_text": ("output_text", "content_part"),
    "refusal": ("refusal", "content_part"),
    "reasoning_text": ("reasoning_text", "content_part"),
    "summary_text": ("reasoning_summary_text", "reasoning_summary_part"),
}


@dataclass(slots=True)
class _Span:
    """Something that begins and ends. ``body`` is what the beginning said, ``final`` what the end said."""

    begun: int
    body: Body
    over: int | None = None
    final: Body = None

    def is_over(self, cut: int) -> bool:
        return self.over is not None and self.over <= cut


@dataclass(slots=True)
class _Item:
    span: _Span
    parts: dict[Place, _Span] = field(default_factory=dict)
    texts: dict[Place, dict[int, str]] = field(default_factory=dict)

    def text(self, place: Place, cut: int) -> str:
        return "".join(text for number, text in self.texts.get(place, {}).items() if number <= cut)


class SentResponse:
    """The items of one response, by their ``output_index``."""

    def __init__(self) -> None:
        self._items: dict[int, _Item] = {}
        self._response: tuple[int, Body] | None = None

    # --- what is sent ----------------------------------------------------------------------------------------------

    def note(self, number: int, kind: str, body: Body) -> None:
        """An event that is no delta, as it leaves; the same number again replaces it."""
        if kind == "response.created" and isinstance(body.get("response"), dict):
            self._response = (number, body["response"])
            return
        index = body.get("output_index")
        if type(index) is not int:
            return
        if kind == "response.output_item.added" and isinstance(body.get("item"), dict):
            known = self._items.get(index)
            if known is not None and known.span.begun == number:
                known.span.body = body["item"]
            else:
                self._items[index] = _Item(_Span(number, body["item"]))
        elif (item := self._items.get(index)) is not None:
            if kind == "response.output_item.done":
                item.span.over, item.span.final = number, body.get("item")
            elif kind.endswith("part.added"):
                item.parts[_place(body)] = _Span(number, body.get("part"))
            elif kind.endswith("part.done") and (part := item.parts.get(_place(body))) is not None:
                part.over, part.final = number, body.get("part")

    def say(self, number: int, index: int, place: Place, text: str) -> None:
        """A delta as it leaves; the same number again replaces it."""
        item = self._items.get(index)
        if item is not None:
            item.texts.setdefault(place, {})[number] = text

    # --- what is left to send --------------------------------------------------------------------------------------

    def ending(self, cut: int, sequence: int, model: str, refusal: Refusal) -> list[bytes]:
        """The events that end the response after frame ``cut``, with the refusal text as its last words.

        Args:
            cut: number of the last frame that left.
            sequence: the number of the next event.
            model: what the request asked for.
            refusal: what to say.
        """
        items = {index: item for index, item in sorted(self._items.items()) if item.span.begun <= cut}
        ending = _Ending(cut, refusal)
        answer = shapes.response(model, refusal)
        if self._response is not None and self._response[0] <= cut:
            answer = self._response[1]
        elif cut == 0:  # else a stream that goes on where an earlier one ended
            for name in ("created", "in_progress"):
                ending.put(f"response.{name}", response=answer)
        ending.put("response.incomplete", response=shapes.refused(answer, ending.close(items)))
        return [shapes.event(kind, sequence + offset, **fields) for offset, (kind, fields) in enumerate(ending.events)]


class _Ending:
    """The events that close what is open, as they are put together."""

    def __init__(self, cut: int, refusal: Refusal) -> None:
        self._cut = cut
        self._refusal = refusal
        self.events: list[tuple[str, dict[str, Any]]] = []

    def put(self, kind: str, **fields: Any) -> None:
        """One more event."""
        self.events.append((kind, fields))

    def close(self, items: Mapping[int, _Item]) -> list[Body]:
        """Close these items, say the refusal in the last message that is open or a new one; the whole output."""
        cut = self._cut
        open_items = [index for index, item in items.items() if not item.span.is_over(cut)]
        messages = [index for index in open_items if items[index].span.body.get("type") == "message"]
        output: list[Body] = []
        for index, item in items.items():
            if index not in open_items:
                output.append(item.span.final)
                continue
            body = self._close_item(item, index)
            if messages and index == messages[-1]:
                body["content"].append(self._say(index, len(body["content"]), body.get("id")))
            self.put("response.output_item.done", output_index=index, item=body)
            output.append(body)
        if not messages:
            index = max(items, default=-1) + 1
            body = shapes.message(self._refusal, ())
            self.put(
                "response.output_item.added", output_index=index, item={**body, "content": [], "status": "in_progress"}
            )
            body["content"].append(self._say(index, 0, body["id"]))
            self.put("response.output_item.done", output_index=index, item=body)
            output.append(body)
        return output

    def _close_item(self, item: _Item, index: int) -> dict[str, Any]:
        """An item that was cut, with what the client has of its texts."""
        cut = self._cut
        body = {**item.span.body, "status": "incomplete"}
        if body.get("type") == "message":
            body["content"] = []
        for place, part in sorted(item.parts.items()):
            if part.begun <= cut:
                final = part.final if part.is_over(cut) else self._close_part(item, index, place)
                body[place[0]] = [*(body.get(place[0]) or ()), final]
        for place in item.texts:
            if place[0] not in ("content", "summary") and isinstance(body.get(place[0], ""), str):
                body[place[0]] = item.text(place, cut)
        return body

    def _close_part(self, item: _Item, index: int, place: Place) -> Body:
        name, number = place
        part = item.parts[place].body
        said: dict[str, Any] = part if isinstance(part, dict) else {}
        slot = "refusal" if said.get("type") == "refusal" else "text"
        text = item.text(place, self._cut)
        final = {**said, slot: text}
        where = {"item_id": item.span.body.get("id"), "output_index": index, f"{name}_index": number}
        stem, owner = _CLOSING.get(str(said.get("type")), ("", "content_part"))
        if stem:
            more: dict[str, Any] = {"logprobs": []} if stem == "output_text" else {}
            self.put(f"response.{stem}.done", **where, **{slot: text}, **more)
        self.put(f"response.{owner}.done", **where, part=final)
        return final

    def _say(self, index: int, number: int, item_id: Any) -> dict[str, Any]:
        """The refusal text as one more part of a message."""
        text = self._refusal.message
        where = {"item_id": item_id, "output_index": index, "content_index": number}
        self.put("response.content_part.added", **where, part=shapes.text_part(""))
        self.put("response.output_text.delta", **where, delta=text, logprobs=[])
        self.put("response.output_text.done", **where, text=text, logprobs=[])
        self.put("response.content_part.done", **where, part=shapes.text_part(text))
        return shapes.text_part(text)


def _place(body: Body) -> Place:
    if "summary_index" in body:
        return "summary", body["summary_index"]
    return "content", body.get("content_index", 0)


__all__ = ["Place", "SentResponse"]
