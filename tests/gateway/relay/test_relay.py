"""The relay, as transcripts: what goes in, what comes out, and when."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.types import Action
from gateway.relay import CancelUpstream, Send, Verdict

ALPHABET = "炸药包傻瓜广告词好。，a \n😀\u2028"
TEXTS = st.lists(st.text(ALPHABET, max_size=6), max_size=12)


def cut(data, places):
    """Split bytes at these places."""
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[left:right] for left, right in pairwise(edges)]


def may_leave(text, terms):
    """Brute force: how much of a text may leave while it could go on in any way. Exact terms, nothing else."""
    for start in range(len(text)):
        if any(term.startswith(text[start:]) or text[start:].startswith(term) for term in terms):
            return start
    return len(text)


@given(
    st.lists(st.text("好人你我他。，a \n😀\u2028\r", max_size=6), max_size=12),
    st.lists(st.integers(0, 5000), max_size=9),
)
@settings(max_examples=60, deadline=None)
def test_clean_stream_is_byte_identical_for_every_cut(kit, texts, places):
    """PEERS 20: what no rule touches arrives as it was sent, wherever the network cut it."""
    extra = [b": ping\n\n", b"event: x\r\nid: 7\r\n" + kit.text("好").replace(b"\n\n", b"\r\n\r\n")]
    data = b"".join([kit.chunk({"role": "assistant"}), *map(kit.text, texts), *extra, kit.end(), kit.done])
    one = kit.play().feed(*cut(data, places)).finish()
    assert one.sent == data
    assert one.done
    assert not one.cancelled
    assert not one.verdicts


@given(TEXTS, st.lists(st.integers(0, 5000), max_size=9))
@settings(max_examples=120, deadline=None)
def test_verdict_and_text_do_not_depend_on_the_cut(kit, texts, places):
    """PEERS 3: delivered bytes and verdicts are functions of the answer, not of its chunks."""
    data = b"".join([*map(kit.text, texts), kit.end(), kit.done])
    whole = kit.play().feed(data).finish()
    pieces = kit.play().feed(*cut(data, places)).finish()
    assert whole.sent == pieces.sent
    assert [(v.key, v.decision) for v in whole.verdicts][-1:] == [(v.key, v.decision) for v in pieces.verdicts][-1:]


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_nothing_leaves_early(kit, texts):
    """PEERS 2: never more than a brute-force oracle allows, after every single frame."""
    one = kit.play()
    received = ""
    for content in texts:
        one.feed(kit.text(content))
        received += content
        delivered = one.said().removesuffix("不便回答。")
        allowed = received[: may_leave(received.replace("傻瓜", "**"), ("炸药",))].replace("傻瓜", "**")
        assert len(delivered) <= len(allowed)
        assert "炸药" not in delivered
        if one.done:
            break


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_what_is_clean_leaves_at_once(kit, texts):
    """PEERS 4: nothing is held longer than the text itself forces; here only a live prefix of a term is."""
    one = kit.play()
    received = ""
    for content in texts:
        safe = content.replace("炸", "").replace("傻", "").replace("广", "") + "好。"
        one.feed(kit.text(safe))
        received += safe
        assert one.said() == received
        assert one.relay.backlog == 0


def test_hold_back_is_the_live_prefix_alone(kit):
    """The transcript of the design: 3 characters, then 5, then the block at 6."""
    one = kit.play()
    one.feed(kit.text("他买了"))
    assert one.said() == "他买了"
    one.feed(kit.text("炸"))
    assert one.said() == "他买了"
    one.feed(kit.text("鸡"))
    assert one.said() == "他买了炸鸡"
    one.feed(kit.text("和炸"))
    assert one.said() == "他买了炸鸡"  # whole frames wait: 和 stands in one frame with the live 炸
    one.feed(kit.text("药"))
    assert one.said() == "他买了炸鸡和不便回答。"
    assert one.verdicts[0].decision.matches[0].span.start == 6
    assert one.verdicts[0].delivered_chars == 6


def test_block_in_the_middle_of_a_frame(kit):
    """What was cleared before the match leaves; the match and what follows does not; the stream ends properly."""
    one = kit.play().feed(kit.text("前面"), kit.text("中间炸药后面"), kit.text("更多"))
    assert one.said() == "前面中间不便回答。"
    assert one.sent.endswith(kit.done)
    assert b'"content_filter"' in one.sent
    assert one.done
    assert one.cancelled
    kinds = [type(event) for event in one.events]
    assert kinds.index(CancelUpstream) < kinds.index(Verdict)  # the upstream stops before anything waits for a disk
    assert one.feed(kit.text("再来")).said() == "前面中间不便回答。"


def test_verdict_comes_before_what_it_governs(kit):
    """Neither a masked character nor a refusal is ever in a Send ahead of its verdict."""
    for content in ("一个傻瓜啊", "一包炸药啊"):
        one = kit.play().feed(kit.text("你好。"), kit.text(content))
        first = one.events.index(one.verdicts[0])
        before = b"".join(event.data for event in one.events[:first] if isinstance(event, Send))
        assert kit.said(before) == "你好。"


def test_mask_across_frame_borders(kit):
    """PEERS 22: every matched character becomes one asterisk, in the frame where it stood, every time."""
    one = kit.play().feed(kit.text("你这傻"), kit.text("瓜，真是傻"), kit.text("瓜"), kit.end(), kit.done).finish()
    assert one.said() == "你这**，真是**"
    texts = [json.loads(line[6:])["choices"][0]["delta"].get("content") for line in one.sent.decode().split("\n\n")[:3]]
    assert texts == ["你这*", "*，真是*", "*"]
    assert one.verdicts[-1].decision.action is Action.MASK
    assert len(one.verdicts[-1].decision.matches) == 2
    assert one.verdicts[-1].delivered_chars == 9
    assert {verdict.key for verdict in one.verdicts} == {one.verdicts[0].key}
    assert not one.cancelled


def test_logprobs_of_a_masked_frame_are_withheld(kit):
    """A text that also stands in the log probabilities is withheld there too."""
    body = {"index": 0, "delta": {"content": "傻瓜"}, "finish_reason": None}
    body["logprobs"] = {"content": [{"token": "傻瓜", "logprob": -1, "bytes": None, "top_logprobs": []}]}
    data = b"data: " + json.dumps({"id": "c", "choices": [body]}, ensure_ascii=False).encode() + b"\n\n"
    one = kit.play().feed(data, kit.done).finish()
    assert "傻瓜" not in one.sent.decode()
    assert "傻瓜" not in json.loads(one.sent.split(b"\n\n")[0][6:]).__repr__()


def test_flag_is_delivered_and_told_at_the_end(kit):
    """A flag changes nothing on the wire and is recorded once."""
    data = b"".join([kit.text("这是广告"), kit.text("词。"), kit.end(), kit.done])
    one = kit.play().feed(data).finish()
    assert one.sent == data
    assert [verdict.decision.action for verdict in one.verdicts] == [Action.FLAG]


def test_one_choice_blocked_the_other_goes_on(kit):
    """PEERS 15: two interleaved choices are two texts; the clean one is delivered whole, the blocked one ends alone."""
    clean = [kit.text(piece, 1) for piece in ("甲", "乙炸", "鸡丙")]
    one = kit.play(n=2)
    one.feed(kit.text("一", 0), clean[0], kit.text("二炸", 0), clean[1], kit.text("药三", 0), clean[2])
    assert not one.cancelled
    one.feed(kit.text("四", 0), kit.end(0), kit.end(1), kit.done).finish()
    assert one.said(0) == "一二不便回答。"
    assert one.said(1) == "甲乙炸鸡丙"
    assert all(frame in one.sent for frame in (*clean, kit.end(1)))
    assert one.sent.count(kit.done) == 1
    assert kit.end(0) not in one.sent
    assert one.done


def test_all_choices_blocked_ends_the_stream(kit):
    """The upstream is closed when no choice is left, and not before."""
    one = kit.play(n=2).feed(kit.text("炸药", 0))
    assert not one.cancelled
    one.feed(kit.text("炸药", 1))
    assert one.cancelled
    assert one.done
    assert one.sent.count(kit.done) == 1
    assert one.sent.count(b'"finish_reason":"content_filter"') == 2


def test_frame_shared_by_two_choices_is_edited(kit):
    """A frame that speaks of a blocked and of a live choice loses the blocked one's text only."""
    one = kit.play(n=2).feed(kit.text("炸药", 0), kit.chunk((0, {"content": "更多"}), (1, {"content": "好的"})))
    one.feed(kit.end(1), kit.done).finish()
    assert one.said(0) == "不便回答。"
    assert one.said(1) == "好的"


def test_same_term_split_over_two_choices_is_no_match(kit):
    """Choices are never joined into one text."""
    data = b"".join([kit.text("炸", 0), kit.text("药", 1), kit.end(0), kit.end(1), kit.done])
    assert kit.play(n=2).feed(data).finish().sent == data


@pytest.mark.parametrize("name", ["reasoning_content", "refusal"])
def test_other_texts_of_a_choice_are_moderated(kit, name):
    """PEERS 14: reasoning and refusals are texts like any other."""
    one = kit.play().feed(kit.chunk({name: "先想炸"}), kit.chunk({name: "药"}), kit.text("答"))
    assert one.said(name=name) == "先想" if name != "refusal" else "先想" in one.said(name=name)
    assert "药" not in one.sent.decode()
    assert "答" not in one.said().removesuffix("不便回答。")
    assert one.cancelled


def test_tool_call_arguments_are_moderated_unescaped(kit):
    """PEERS 14: arguments that arrive in fragments, escaped, cut inside an escape, are one readable text."""

    def call(arguments):
        return kit.chunk({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]})

    one = kit.play()
    one.feed(call('{"q":"\\u70'), call("b8"), call("\\u8"), call('36f"}'), kit.end(), kit.done).finish()
    assert one.cancelled
    assert b"836f" not in one.sent
    assert b"36f" not in one.sent
    clean = b"".join([call('{"q":"\\u70'), call("b8\\u9e"), call('21"}'), kit.end(), kit.done])
    assert kit.play().feed(clean).finish().sent == clean


def test_masked_tool_arguments_stay_json(kit):
    """A mask inside arguments that were cut inside an escape leaves arguments that still parse."""

    def call(arguments):
        return kit.chunk({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]})

    one = kit.play().feed(call('{"q":"a\\u50'), call("bb\\u7"), call('4dcb"}'), kit.end(), kit.done).finish()
    arguments = ""
    for line in one.sent.decode().split("\n\n"):
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                for tool in choice["delta"].get("tool_calls", []):
                    arguments += tool["function"]["arguments"]
    assert json.loads(arguments) == {"q": "a**b"}


def test_monitor_delivers_every_byte_at_once(kit):
    """PEERS 16: monitor mode alters nothing, holds nothing, ends nothing, and still decides."""
    frames = [kit.text("他买了炸"), kit.text("药"), kit.text("傻瓜"), b"data: {broken\n\n", kit.end(), kit.done]
    one = kit.play({"mode": "monitor"})
    sent = b""
    for piece in (frames[0][:9], frames[0][9:], *frames[1:]):
        one.feed(piece)
        sent += piece
        assert one.sent == sent
    one.finish()
    assert one.sent == sent
    assert not one.cancelled
    assert one.verdicts[-1].decision.would_action is Action.BLOCK
    assert one.verdicts[-1].decision.action is Action.FLAG


def test_on_block_error_ends_with_the_error_frame(kit):
    """With ``on_block: error`` the stream ends with the API's error object, all choices with it."""
    one = kit.play({"on_block": "error"}, n=2).feed(kit.text("前炸药", 0), kit.text("好", 1))
    assert one.said(0) == "前"
    assert b'"error"' in one.sent
    assert b'"decision_id":"d1"' in one.sent
    assert one.cancelled
    assert one.done


@pytest.mark.parametrize("garbage", [b"data: {not json\n\n", b'data: {"unheard":"of"}\n\n', b"data: [1,2]\n\n"])
def test_unknown_frame_blocked(kit, garbage):
    """What cannot be understood ends the stream with an error that names the setting, and is counted."""
    one = kit.play().feed(kit.text("好。"), garbage)
    if one.unknown:  # an object of strings may be understood well enough to be scanned
        assert one.unknown == [("frame", "block")]
        assert one.said() == "好。"
        assert garbage not in one.sent
        assert b"unknown: pass" in one.sent
        assert one.cancelled
        assert one.done
        assert one.verdicts[-1].decision.action is Action.BLOCK


def test_unknown_frame_passed(kit):
    """With ``unknown: pass`` such a frame keeps its place, is counted, and makes the coverage partial."""
    data = b"".join([kit.text("好"), b"data: {not json\n\n", kit.text("的"), kit.done])
    one = kit.play({"unknown": "pass"}).feed(data).finish()
    assert one.sent == data
    assert one.unknown == [("frame", "pass")]
    assert one.relay.coverage.value == "partial"


def test_upstream_that_dies_releases_what_may_leave(kit):
    """The tail that can no longer become a match leaves, then comes the API's error frame."""
    one = kit.play().feed(kit.text("他买了炸"))
    assert one.said() == ""
    one.take(one.relay.abort(502, "gone", "upstream_error"))
    assert one.said() == "他买了炸"
    assert b'"error"' in one.sent
    assert one.done
    assert not one.cancelled


def test_half_a_frame_at_the_end_is_never_forwarded_unread(kit):
    """Bytes without their frame's end are judged or refused, never passed on."""
    half = kit.text("这里有炸药").rstrip(b"\n")
    one = kit.play().feed(kit.text("好。"), half).finish()
    assert "炸药" not in one.sent.decode()
    assert one.done
    torn = half[:-20]
    one = kit.play().feed(kit.text("好。"), torn).finish()
    assert torn not in one.sent
    assert one.done


def test_error_object_inside_a_stream_is_scanned(kit):
    """An error frame of the upstream is text too."""
    data = b'data: {"error":{"message":"boom","type":"server_error"}}\n\n'
    assert data in kit.play().feed(data, kit.done).finish().sent
    bad = 'data: {"error":{"message":"说到炸药","type":"server_error"}}\n\n'.encode()
    assert "炸药" not in kit.play().feed(bad, kit.done).finish().sent.decode()


def test_text_after_the_end_is_not_trusted(kit):
    """Nothing unread slips out behind the API's own end sign."""
    one = kit.play().feed(kit.text("好"), kit.end(), kit.done, kit.text("炸药")).finish()
    assert "炸药" not in one.sent.decode()


def test_pings_keep_their_place(kit):
    """A comment behind a held frame waits; in front of it, it does not."""
    one = kit.play().feed(b": a\n\n", kit.text("炸"), b": b\n\n")
    assert one.sent == b": a\n\n"
    one.feed(kit.text("鸡"))
    assert one.sent == b": a\n\n" + kit.text("炸") + b": b\n\n" + kit.text("鸡")


def test_client_that_leaves_is_recorded_for_what_it_got(kit):
    """Verdicts on delivered text survive the client."""
    one = kit.play().feed(kit.text("一个傻瓜，"), kit.text("广告词。"), kit.text("炸"))
    verdicts = one.relay.leave()
    assert [verdict.decision.action for verdict in verdicts] == [Action.MASK]
    assert verdicts[0].delivered_chars == 9
    assert verdicts[0].cancelled


def test_usage_and_unknown_fields_travel(kit):
    """Frames without text pass, whatever numbers they carry."""
    usage = kit.chunk(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})
    data = b"".join([kit.text("好"), kit.end(), usage, kit.done])
    assert kit.play().feed(data).finish().sent == data
