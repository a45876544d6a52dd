import json
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.lexicon import Lexicon, read_csv
from filters.policy import Policy
from filters.ruleset import Ruleset
from gateway.guard import Guard
from gateway.inference import InferenceFailed, InferenceTimeout
from gateway.metrics import Metrics
from gateway.proxy.texts import AT_ONCE
from gateway.recorder import RecordError

pytestmark = pytest.mark.anyio

TERMS = """term,category,action,match,unless,with,within,note
炸药,A1.h.weapons_cbrne,block,,,,,
大麻,A1.h.drugs,block,,大麻烦,,,
傻瓜,A4.a.bullying,mask,,,,,
彩票,A1.h.gambling,flag,,,,,
"""
PAGE = Path(__file__).parents[2] / "docs" / "guard.md"
LITELLM = "/beta/litellm_basic_guardrail_api"


class Scorer:
    """Stands in for the classifier: a segment with 坏 in it is violent."""

    version = "test-1"
    labels = ("A1.f.violence",)
    failing = False

    async def score(self, segments, deadline_s=None):
        """Score or fail."""
        if self.failing:
            raise InferenceFailed("gone")
        return [{"A1.f.violence": 0.9 if "坏" in segment.text else 0.1} for segment in segments]


class Recorder:
    """Keeps what was recorded."""

    def __init__(self):
        self.kept = []
        self.broken = False

    async def record(self, violation):
        """Keep or fail."""
        if self.broken:
            raise RecordError("no disk")
        self.kept.append(violation)

    @property
    def latest(self):
        """The last version of each record."""
        return list({item.id: item for item in self.kept}.values())


class Endpoint:
    """The guard, and what it stands on."""

    def __init__(self, policy=None, keys=None, *, classify=False, max_body=100_000):
        self.scorer = Scorer()
        self.recorder = Recorder()
        self.metrics = Metrics()
        model = (self.scorer.version, self.scorer.labels) if classify else ()
        rules = Ruleset(Policy.parse(policy or {}), Lexicon(read_csv(TERMS, "terms.csv")), *model)
        app = Guard(
            moderator=SimpleNamespace(current=rules),
            inference=self.scorer,
            recorder=self.recorder,
            pseudonym=lambda user: f"sub_{hash(user)}",
            keys=keys,
            max_body=max_body,
            metrics=self.metrics,
        )
        self.refusal = rules.policy.refusal
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sluice")

    async def ask(self, path="/v1/guard", **body):
        """The parsed answer."""
        answer = await self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        self.headers = answer.headers
        return answer.json()

    async def lite(self, **body):
        """The parsed answer to LiteLLM."""
        return await self.ask(LITELLM, **body)

    async def so_far(self, text, *, final=False, **more):
        """What may be delivered of a streamed text."""
        answer = await self.ask(direction="output", texts=[text], stream={"final": final, **more})
        return answer["texts"][0]["text"]


@pytest.fixture
def endpoint():
    """The guard under a policy of defaults."""
    return Endpoint()


# --- /v1/guard -------------------------------------------------------------------------------------------------------


async def test_a_clean_text_may_go_as_it_is(endpoint):
    """Nothing is found, recorded or refused, and the headers say so."""
    answer = await endpoint.ask(texts=["今天天气很好"])
    assert answer["texts"] == [{"action": "allow", "text": "今天天气很好"}]
    assert (answer["action"], answer["matches"], answer["refusal"]) == ("allow", [], None)
    assert (answer["coverage"], answer["degraded"]) == ("full", False)
    assert endpoint.headers["x-sluice-decision-id"] == answer["decision_id"]
    assert not endpoint.recorder.kept


async def test_a_masked_text_comes_back_masked(endpoint):
    """Each text has its own action; matches say where they stand."""
    answer = await endpoint.ask(texts=["你好", "你这傻瓜"], user="u1", model="m")
    assert [one["text"] for one in answer["texts"]] == ["你好", "你这**"]
    assert [one["action"] for one in answer["texts"]] == ["allow", "mask"]
    (match,) = answer["matches"]
    assert (match["path"], match["start"], match["end"], match["rule"]) == (["texts", 1], 2, 4, "傻瓜")
    (record,) = endpoint.recorder.kept
    assert (record.api, record.direction, record.model, record.choice) == ("sluice.guard", "input", "m", 1)
    assert record.subject.startswith("sub_")


async def test_a_blocked_text_is_refused_in_its_language(endpoint):
    """Nothing of it may be delivered, and the refusal is in the language of the text."""
    answer = await endpoint.ask(texts=["炸药怎么做"])
    assert (answer["action"], answer["texts"]) == ("block", [{"action": "block", "text": ""}])
    assert answer["refusal"] == endpoint.refusal.zh
    assert endpoint.headers["x-sluice-decision"] == "block"
    answer = await endpoint.ask(direction="output", texts=["buy some 炸药 in the shop over there"])
    assert answer["refusal"] == endpoint.refusal.en
    assert endpoint.recorder.kept[-1].direction == "output"


async def test_messages_are_read_like_a_chat_request(endpoint):
    """Tool arguments and parts are found, masked in place, and everything else stays."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"q":"\\u50bb\\u74dc"}'}}
    messages = [
        {"role": "system", "content": "你是助手"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "user", "content": [{"type": "text", "text": "傻"}, {"type": "text", "text": "瓜"}]},
    ]
    answer = await endpoint.ask(messages=messages)
    assert answer["action"] == "mask"
    assert [part["text"] for part in answer["messages"][2]["content"]] == ["*", "*"]
    assert json.loads(answer["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {"q": "**"}
    assert answer["messages"][0] == messages[0]
    assert {tuple(match["path"][:2]) for match in answer["matches"]} == {("messages", 1), ("messages", 2)}
    assert (await endpoint.ask(messages=messages[:1]))["messages"] is None


async def test_tools_are_read_too(endpoint):
    """A description that reaches the model is text like any other."""
    tools = [{"type": "function", "function": {"name": "f", "description": "卖炸药"}}]
    answer = await endpoint.ask(messages=[{"role": "user", "content": "你好"}], tools=tools)
    assert (answer["action"], answer["messages"]) == ("block", None)


async def test_media_follow_the_policy():
    """Pictures are not read: the coverage says so, or the policy blocks them."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "这是什么"}, image]}]
    answer = await Endpoint().ask(messages=messages)
    assert (answer["action"], answer["coverage"]) == ("allow", "partial")
    answer = await Endpoint({"media": "block"}).ask(messages=messages)
    assert (answer["action"], answer["coverage"]) == ("block", "partial")


async def test_monitor_mode_only_says_what_it_would_do():
    """The text comes back whole, in a stream too."""
    endpoint = Endpoint({"mode": "monitor"})
    answer = await endpoint.ask(texts=["你这傻瓜买炸药"])
    assert (answer["action"], answer["would_action"]) == ("flag", "block")
    assert answer["texts"][0]["text"] == "你这傻瓜买炸药"
    assert endpoint.headers["x-sluice-would"] == "block"
    assert await endpoint.so_far("你这傻瓜买炸") == "你这傻瓜买炸"
    assert (await endpoint.lite(input_type="request", texts=["炸药"]))["action"] == "NONE"
    assert (await endpoint.lite(input_type="response", texts=["炸药"]))["action"] == "NONE"


# --- streams ---------------------------------------------------------------------------------------------------------


async def test_a_stream_gets_what_is_certain(endpoint):
    """The table of docs/architecture.md: what could still become a term waits, and a block ends it."""
    assert await endpoint.so_far("他买了炸") == "他买了"
    assert await endpoint.so_far("他买了炸鸡") == "他买了炸鸡"
    assert await endpoint.so_far("他买了炸鸡和炸") == "他买了炸鸡和"
    assert await endpoint.so_far("他买了炸鸡和炸", final=True) == "他买了炸鸡和炸"
    answer = await endpoint.ask(direction="output", texts=["他买了炸鸡和炸药"], stream={})
    assert answer["action"] == "block"
    assert answer["texts"] == [{"action": "block", "text": "他买了炸鸡和"}]
    assert answer["refusal"] == endpoint.refusal.zh


STORIES = ["他买了炸鸡和炸药还有", "你这傻瓜惹了大麻烦", "傻瓜买大麻", "坏人，好人。傻瓜真坏", "彩票和炸 药", "大麻"]


@st.composite
def cut_stories(draw):
    """A story and how far each round of its stream has come."""
    story = draw(st.sampled_from(STORIES))
    return story, sorted(draw(st.sets(st.integers(1, len(story) - 1))))


@settings(deadline=None)  # the first text loads a dictionary
@given(cut_stories(), st.booleans())
async def test_what_is_delivered_never_depends_on_the_cuts(cut_story, classify):
    """However often a proxy asks, what it has sent is the beginning of what it may send, and the end is the same."""
    story, cuts = cut_story
    endpoint = Endpoint(classify=classify)
    whole = await endpoint.so_far(story, final=True)
    sent = ""
    for cut in cuts:
        now = await endpoint.so_far(story[:cut])
        assert now.startswith(sent)
        sent = now
        assert whole.startswith(now)


@settings(deadline=None)  # the first text loads a dictionary
@given(cut_stories(), st.booleans())
async def test_litellm_delivers_the_same_for_every_cut(cut_story, classify):
    """LiteLLM holds back what it is asked to and delivers the rest at its last round: never a match, nor more."""
    story, cuts = cut_story
    endpoint = Endpoint(classify=classify)
    whole = await endpoint.so_far(story, final=True)
    sent, blocked = "", False
    for cut in [*cuts, len(story)]:
        answer = await endpoint.lite(input_type="response", texts=[story[:cut]], litellm_call_id="c")
        if blocked := answer["action"] == "BLOCKED":
            break
        text = answer.get("texts", [story[:cut]])[0]
        (held,) = answer["stream_holdback_chars"]
        assert text.startswith(sent)
        sent = text[: len(text) - held]
        assert whole.startswith(sent)
    if not blocked:  # the last round is LiteLLM's last: it holds nothing back any more
        assert text in (whole, whole + endpoint.refusal.zh)
    else:
        assert whole != story


async def test_the_texts_of_a_stream_have_one_deadline():
    """A classifier that hangs is waited for once, not for each text, nor again for how each would end."""
    endpoint = Endpoint({"on_error": {"output": "pass"}}, classify=True)
    asked = []

    async def hang(segments, _deadline_s=None):
        asked.append(segments)
        await anyio.sleep(0.01)
        raise InferenceTimeout("late")

    endpoint.scorer.score = hang
    answer = await endpoint.ask(direction="output", texts=[f"第{n}天，很好" for n in range(3 * AT_ONCE)], stream={})
    assert answer["degraded"]
    assert len(asked) <= AT_ONCE


async def test_choices_of_a_stream_are_apart(endpoint):
    """One that is blocked stops by itself; a term is never put together out of two."""
    answer = await endpoint.ask(direction="output", texts=["好炸", "药", "卖大麻，真的"], stream={"id": "s"})
    assert answer["texts"] == [
        {"action": "allow", "text": "好"},
        {"action": "allow", "text": "药"},
        {"action": "block", "text": "卖"},
    ]
    assert [match["path"] for match in answer["matches"]] == [["texts", 2]]
    lite = {"input_type": "response", "litellm_call_id": "c"}
    answer = await endpoint.lite(**lite, texts=["好炸", "你这傻瓜"])
    assert answer == {
        "action": "GUARDRAIL_INTERVENED",
        "texts": ["好炸", "你这**"],
        "stream_holdback_chars": [1, 0],
    }
    assert (await endpoint.lite(**lite, texts=["好", "卖大麻，真的"]))["action"] == "BLOCKED"


async def test_a_finding_of_a_stream_is_one_record(endpoint):
    """Rounds of one stream write one record that grows with it; another stream of the same id has its own."""
    for text in ("你这傻瓜", "你这傻瓜真的", "你这傻瓜真的买炸药"):
        await endpoint.so_far(text, id="s1")
    (record,) = endpoint.recorder.latest
    assert (record.action, len(record.matches), record.stream, record.delivered_chars) == ("block", 2, True, 7)
    assert len(endpoint.recorder.kept) == 2  # the round that said nothing new wrote nothing
    await endpoint.so_far("又一个傻瓜", id="s1")
    await endpoint.so_far("你这傻瓜", id="s2")
    assert len(endpoint.recorder.latest) == 3
    counted = re.findall(rb"^sluice_violations_total{.*} (\S+)", endpoint.metrics.render(), re.MULTILINE)
    assert sum(map(float, counted)) == 3


async def test_a_classifier_that_fails_follows_on_error():
    """A stream is cut where nothing is known, or goes on marked as degraded."""
    endpoint = Endpoint(classify=True)
    endpoint.scorer.failing = True
    answer = await endpoint.ask(direction="output", texts=["今天，很好"], stream={})
    assert (answer["action"], answer["degraded"], answer["texts"][0]["text"]) == ("block", True, "")
    endpoint = Endpoint({"on_error": {"output": "pass"}}, classify=True)
    endpoint.scorer.failing = True
    answer = await endpoint.ask(direction="output", texts=["今天，很好"], stream={"final": True})
    assert (answer["action"], answer["degraded"], answer["texts"][0]["text"]) == ("allow", True, "今天，很好")


async def test_the_example_of_the_page_works(endpoint):
    """The function in docs/guard.md delivers exactly what may be delivered, and refuses."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(block, names)
    guard = SimpleNamespace(
        post=lambda path, json: anyio.from_thread.run(partial(endpoint.client.post, path, json=json))
    )
    for chunks, said in (
        (["他买了炸", "鸡和炸", "药"], "他买了炸鸡和" + endpoint.refusal.zh),
        (["你这傻", "瓜惹了大麻", "烦"], "你这**惹了大麻烦"),
        (["他买了炸"], "他买了炸"),
    ):
        told = await anyio.to_thread.run_sync(lambda chunks=chunks: list(names["guarded"](chunks, "s", guard)))
        assert "".join(told) == said


# --- LiteLLM ---------------------------------------------------------------------------------------------------------


async def test_litellm_requests(endpoint):
    """A prompt passes, comes back masked, or is blocked with the refusal as the reason."""
    ask = {"input_type": "request", "request_data": {"user_api_key_end_user_id": "u"}, "model": "m"}
    assert await endpoint.lite(**ask, texts=["你好"]) == {"action": "NONE"}
    answer = await endpoint.lite(**ask, texts=["你好", "傻瓜"], litellm_version="1.106.2", request_headers={"a": "b"})
    assert answer == {"action": "GUARDRAIL_INTERVENED", "texts": ["你好", "**"]}
    answer = await endpoint.lite(**ask, texts=["炸药"])
    assert answer == {"action": "BLOCKED", "blocked_reason": endpoint.refusal.zh}
    assert {(record.api, record.subject) for record in endpoint.recorder.kept} == {
        ("litellm.guardrail", f"sub_{hash('u')}")
    }


async def test_litellm_sends_more_than_texts(endpoint):
    """Tools, tool calls and parts that read as one are judged; what cannot be sent back masked is blocked."""
    ask = {"input_type": "request", "texts": ["傻", "瓜"]}
    parts = [{"type": "text", "text": "傻"}, {"type": "text", "text": "瓜"}]
    answer = await endpoint.lite(**ask, structured_messages=[{"role": "user", "content": parts}])
    assert answer["action"] == "BLOCKED"
    tool = {"type": "function", "function": {"name": "f", "description": "卖炸药"}}
    assert (await endpoint.lite(input_type="request", texts=["你好"], tools=[tool]))["action"] == "BLOCKED"
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":"\\u70b8\\u836f"}'}}
    for kind in ("request", "response"):
        assert (await endpoint.lite(input_type=kind, texts=[], tool_calls=[call]))["action"] == "BLOCKED"
    assert (await endpoint.lite(input_type="response", tool_calls=[{**call, "function": {"name": "f"}}])) == {
        "action": "NONE",
        "stream_holdback_chars": [],
    }


async def test_litellm_texts_are_not_judged_twice(endpoint):
    """What stands in ``texts`` and in ``structured_messages`` is one finding."""
    messages = [{"role": "user", "content": "你这傻瓜"}]
    answer = await endpoint.lite(input_type="request", texts=["你这傻瓜"], structured_messages=messages)
    assert answer == {"action": "GUARDRAIL_INTERVENED", "texts": ["你这**"]}
    assert len(endpoint.recorder.kept) == 1


async def test_what_more_text_could_undo_is_no_block(endpoint):
    """大麻 may become 大麻烦: it is held back, and refused only where nothing follows."""
    answer = await endpoint.lite(input_type="response", texts=["他惹了大麻"])
    refusal = endpoint.refusal.zh
    assert answer["texts"] == ["他惹了" + refusal]
    assert answer["stream_holdback_chars"] == [len(refusal)]
    answer = await endpoint.lite(input_type="response", texts=["他惹了大麻烦"])
    assert answer["action"] == "NONE"
    assert (await endpoint.lite(input_type="response", texts=["他惹了大麻，好"]))["action"] == "BLOCKED"


async def test_litellm_images():
    """Pictures follow the policy's ``media``."""
    ask = {"input_type": "request", "texts": ["看"], "images": ["data:image/png;base64,AAAA"]}
    endpoint = Endpoint()
    assert (await endpoint.lite(**ask))["action"] == "NONE"
    assert endpoint.headers["x-sluice-coverage"] == "partial"
    endpoint = Endpoint({"media": "block"})
    assert (await endpoint.lite(**ask))["action"] == "BLOCKED"
    assert (await endpoint.lite(**{**ask, "input_type": "response"}))["action"] == "BLOCKED"


async def test_profiles():
    """A profile is named in the body, or chosen by the route before LiteLLM's path."""
    endpoint = Endpoint({"profiles": {"free": {"routes": ["/free"], "mode": "monitor"}}})
    assert (await endpoint.ask(texts=["炸药"], profile="free"))["action"] == "flag"
    assert (await endpoint.ask("/free" + LITELLM, input_type="request", texts=["炸药"]))["action"] == "NONE"
    assert (await endpoint.lite(input_type="request", texts=["炸药"]))["action"] == "BLOCKED"


# --- who asks, and how -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"x-api-key": "wrong"}, 401),
        ({"authorization": "Bearer right"}, 200),
        ({"x-api-key": "right"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/v1/guard", LITELLM])
async def test_keys(path, headers, status):
    """With keys set only their bearers are answered, in either header."""
    endpoint = Endpoint(keys=["other", "right"])
    body = {"texts": ["你好"]} if path == "/v1/guard" else {"texts": ["你好"], "input_type": "request"}
    assert (await endpoint.client.post(path, json=body, headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "JSON object"),
        ({}, "either 'texts' or 'messages'"),
        ({"texts": [], "messages": []}, "either"),
        ({"text": ["a"]}, "did you mean"),
        ({"texts": "a"}, "array of strings"),
        ({"texts": [1]}, r"texts[0]"),
        ({"texts": ["a"], "direction": "up"}, "'input' or 'output'"),
        ({"texts": ["a"], "profile": "nobody"}, "unknown profile"),
        ({"texts": ["a"], "profile": 1}, "profile"),
        ({"texts": ["a"], "stream": True}, "stream"),
        ({"texts": ["a"], "stream": {"end": True}}, "stream.end"),
        ({"texts": ["a"], "stream": {"final": 1}}, "stream.final"),
        ({"texts": ["a"], "stream": {"id": ""}}, "stream.id"),
        ({"messages": [], "stream": {}}, "'texts'"),
        ({"messages": {}}, "messages"),
    ],
)
async def test_what_is_wrong_is_said(endpoint, body, says):
    """A request that cannot be answered gets 400 and a message that names the place, in one shape."""
    answer = await endpoint.client.post("/v1/guard", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert says in error["message"]
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "body",
    [[], {}, {"input_type": "x"}, {"input_type": "request", "texts": [1]}, {"input_type": "request", "tools": 1}],
)
async def test_what_litellm_does_not_send(endpoint, body):
    """A body that is none of LiteLLM's is an error, which LiteLLM takes as a refusal to let pass."""
    assert (await endpoint.client.post(LITELLM, json=body)).status_code == 400


async def test_other_errors_have_their_status(endpoint):
    """Method, size, duplicate keys."""
    assert (await endpoint.client.get("/v1/guard")).status_code == 405
    assert (await endpoint.client.post("/v1/guard", content=b'{"texts":[],"texts":[]}')).status_code == 400
    assert (await Endpoint(max_body=10).client.post("/v1/guard", json={"texts": ["long enough"]})).status_code == 413


async def test_nothing_is_told_before_it_is_recorded(endpoint):
    """Without a record there is no verdict; clean texts need none."""
    endpoint.recorder.broken = True
    answer = await endpoint.client.post("/v1/guard", json={"texts": ["炸药"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "record_failed")
    assert (await endpoint.ask(texts=["你好"]))["action"] == "allow"


async def test_records_may_be_turned_off():
    """``record_moderations: false`` concerns the guard too."""
    endpoint = Endpoint({"record_moderations": False})
    assert (await endpoint.ask(texts=["炸药"]))["action"] == "block"
    assert not endpoint.recorder.kept


@pytest.mark.parametrize("depth", [243, 246, 247, 248, 249, 260])
@pytest.mark.parametrize(
    ("path", "start"),
    [
        ("/v1/guard", '{"messages": [{"role": "user", "content": '),
        (LITELLM, '{"input_type": "request", "structured_messages": [{"role": "user", "content": '),
        (LITELLM, '{"input_type": "request", "tool_calls": [{"x": '),
    ],
    ids=["ours", "messages", "tool calls"],
)
async def test_what_is_nested_too_deep_is_said(endpoint, path, start, depth):
    """However deep a question is nested, it is judged, or called unreadable; it is no failure of ours."""
    body = start + "[" * depth + '"x"' + "]" * depth + "}]}"
    answer = await endpoint.client.post(path, content=body)
    assert answer.status_code == 200 or answer.json()["error"]["code"] == "invalid_json"
