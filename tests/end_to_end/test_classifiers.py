"""Classifiers of the operator's own, set up as an operator does: a policy file, and a server of the tests."""

import json
import time

import httpx
import pytest

from filters.policy import Policy
from gateway.moderator import REFUSED

LABELS = "{insult: A4.a.bullying, advert: X.spam, fine: ignore}"
RULE = "categories: {'*': {action: block, threshold: 0.8}}\n"
KEY = "sk-of-the-guard-012345"

KINDS = {
    "transformers": f"{{kind: transformers, model: MODELS/bert, labels: {LABELS}}}",
    "export": f"{{kind: transformers, model: MODELS/onnx, labels: {LABELS}}}",
    "qwen3guard": "{kind: guard, format: qwen3guard, model: qwen3guard-gen, url: URL, least: 1}",
    "llama-guard": "{kind: guard, format: llama-guard, model: llama-guard-4, url: URL, least: 1, probabilities: true}",
    "shieldgemma": "{kind: guard, format: shieldgemma, model: shieldgemma-2b, url: URL, least: 1}",
    "local guard": "{kind: guard, format: llama-guard, model: MODELS/guard, least: 1, context: 0}",
    "vllm": f"{{kind: http, api: vllm, url: URL, model: m, classes: [fine, insult, advert], labels: {LABELS}}}",
    "tei": f"{{kind: http, api: tei, url: URL, labels: {LABELS}}}",
    "openai": "{kind: http, api: openai, url: URL}",
    "chat": f"{{kind: http, api: chat, url: URL, model: judge, labels: {LABELS}}}",
    "ensemble": (
        "{kind: ensemble, members: [{kind: http, api: tei, url: URL, labels: {insult: A4.a.bullying}}, "
        f"{{kind: transformers, model: MODELS/onnx, labels: {LABELS}}}]}}"
    ),
}
"""One classifier of each kind, and what it is served by."""


@pytest.fixture
def own(sluice, model, tmp_path, classifier_server, request):
    """A gateway with a classifier of the operator's own and no lexicon; the policy is a file that a test may change."""

    def write(rule, more=""):
        if "MODELS" in rule:
            rule = rule.replace("MODELS", str(request.getfixturevalue("transformers_models")))
        policy = RULE + more + "classifier: " + rule.replace("URL", f'"{classifier_server.url}"') + "\n"
        Policy.parse_yaml(policy)
        (tmp_path / "policy.yaml").write_text(policy, encoding="utf-8")
        return tmp_path / "policy.yaml"

    def make(rule, more="", **settings):
        usual = {"upstream": model.url, "base_lexicon": "none", "policy": write(rule, more)}
        return sluice(**{**usual, **settings})

    make.write = write
    return make


def ask(gateway, text="你好", **more):
    """One chat completion."""
    return gateway.client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}], **more)


def read(gateway):
    """The text of a streamed answer, and how it ended."""
    text, reason = "", None
    for chunk in ask(gateway, stream=True):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
    return text, reason


def ready(gateway):
    """What /readyz says."""
    answer = httpx.get(gateway.data + "/readyz", timeout=30)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("kind", KINDS)
def test_a_violation_that_it_finds_stops_the_answer(own, model, kind):
    """Each kind finds an insult in a prompt, in a whole answer and in a stream that is cut just before it."""
    gateway = own(KINDS[kind]).start()
    assert ready(gateway) == (200, {"status": "ready", "reasons": []})
    model.pieces = ["今天天气", "很好。", "你是个", "坏蛋。", "再见。"]
    assert ask(gateway, "我们去公园散步吧").choices[0].finish_reason == "content_filter"
    text, reason = read(gateway)
    assert reason == "content_filter"
    assert text.startswith("今天天气很好。")
    assert "坏" not in text
    assert ask(gateway, "你是个坏蛋").choices[0].finish_reason == "content_filter"
    assert len(model.seen) == 2
    model.pieces = ["今天天气很好。", "我们去公园散步吧。"]
    assert read(gateway) == ("今天天气很好。我们去公园散步吧。", "stop")
    found = gateway.admin("/api/v1/violations")["items"]
    assert len(found) == 3
    for violation in found:
        assert {match["source"] for match in violation["matches"]} == {"classifier"}
        assert {match["rule"] for match in violation["matches"]} == {violation["model_version"]}
        assert violation["coverage"] == "full"
        assert not violation["degraded"]


@pytest.mark.parametrize("kind", ["tei", "qwen3guard"])
def test_a_server_that_is_down_is_decided_by_the_policy(own, model, classifier_server, kind, eventually):
    """With `block` nothing passes and it is recorded as degraded; with `pass` it does; once back, it scores again."""
    rule = KINDS[kind][:-1] + ", breaker_failures: 2, breaker_pause: 0.5, retries: 0}"
    gateway = own(rule).start()
    model.pieces = ["今天天气很好。"]
    assert ask(gateway).choices[0].finish_reason == "stop"
    classifier_server.stop()
    for number in range(3):
        assert ask(gateway, f"你好{number}").choices[0].finish_reason == "content_filter"
    assert len(model.seen) == 1
    assert gateway.admin("/api/v1/violations")["items"][0]["degraded"]
    status, said = eventually(lambda: (found := ready(gateway))[0] == 503 and found)
    assert (status, said["status"]) == (503, "not ready")
    assert "cannot be reached" in said["reasons"][0]
    numbers = httpx.get(f"{gateway.control}/metrics", timeout=30).text
    name = rule[7:].split(",")[0]
    assert f'sluice_classifier_left_alone{{classifier="{name}"}} 1.0' in numbers
    assert f'sluice_classifier_requests_total{{classifier="{name}",outcome="unreachable"}}' in numbers
    assert f'sluice_classifier_requests_total{{classifier="{name}",outcome="open"}}' in numbers
    assert 'sluice_inference_failures_total{kind="failed"}' in numbers

    own.write(rule, "on_error: {input: pass, output: pass}\n")
    eventually(lambda: ask(gateway, "你是个坏蛋").choices[0].finish_reason == "stop", 15)
    text, reason = read(gateway)
    assert (text, reason) == ("今天天气很好。", "stop")
    assert gateway.admin("/api/v1/violations")["items"][0]["degraded"]

    classifier_server.start()
    eventually(lambda: ready(gateway)[0] == 200, 15)
    assert ask(gateway, "你是个坏蛋").choices[0].finish_reason == "content_filter"
    assert gateway.terminate() == 0
    events = [json.loads(line)["event"] for line in gateway.log]
    assert {"classifier_loaded", "classifier_failed", "classifier_left_alone"} <= set(events)
    assert "坏蛋" not in "".join(gateway.log)


def test_a_server_that_is_away_at_the_start_is_told_at_once(own, classifier_server, eventually):
    """Readiness says why before any text failed, and every process finds by itself that it has come."""
    classifier_server.stop()
    gateway = own(KINDS["tei"][:-1] + ", name: ours, breaker_pause: 0.5}", workers=2).start()
    assert ready(gateway) == (
        503,
        {"status": "not ready", "reasons": ["classifier ours cannot be reached (ConnectError)"]},
    )

    def left_alone(processes):
        numbers = httpx.get(f"{gateway.control}/metrics", timeout=30).text
        return f'sluice_classifier_left_alone{{classifier="ours"}} {processes:.1f}' in numbers

    assert left_alone(3)
    classifier_server.start()
    eventually(lambda: left_alone(0), 15)
    eventually(lambda: ready(gateway)[0] == 200, 5)
    assert ask(gateway, "你是个坏蛋").choices[0].finish_reason == "content_filter"
    assert gateway.terminate() == 0
    assert "classifier_not_checked" in "".join(gateway.log)


def test_a_slow_server_is_decided_by_the_policy(own, classifier_server):
    """The policy's `timeout` holds, not the usual deadline."""
    gateway = own("{kind: http, api: tei, url: URL, labels: {insult: A4.a.bullying}, timeout: 0.5}").start()
    classifier_server.behave("slow", seconds=20)
    began = time.monotonic()
    assert ask(gateway).choices[0].finish_reason == "content_filter"
    assert time.monotonic() - began < 15
    assert gateway.admin("/api/v1/violations")["items"][0]["degraded"]


def test_a_guard_that_chats_never_passes(own, classifier_server, model):
    """An answer that is no verdict is a failure, and the policy blocks."""
    gateway = own(KINDS["qwen3guard"]).start()
    classifier_server.behave("sure")
    assert ask(gateway).choices[0].finish_reason == "content_filter"
    assert model.seen == []


def test_a_guard_judges_an_answer_as_the_reply_to_its_prompt(own, classifier_server, model):
    """The prompt alone as the user's, then each piece of the answer as the assistant's."""
    gateway = own(KINDS["qwen3guard"]).start()
    classifier_server.behave()
    model.pieces = ["很好。", "谢谢。"]
    assert read(gateway) == ("很好。谢谢。", "stop")
    asked = [[(m["role"], m["content"]) for m in seen["body"]["messages"]] for seen in classifier_server.seen]
    assert asked[0] == [("user", "你好")]
    assert sorted(asked[1:]) == [[("user", "你好"), ("assistant", text)] for text in ("很好。", "很好。谢谢。")]


def test_a_change_of_the_policy_changes_the_classifier(own, model, eventually):
    """It counts within seconds; an open stream keeps the one that it began with; a broken one changes nothing."""
    gateway = own(KINDS["tei"]).start()
    before = ask(gateway)
    assert before.choices[0].finish_reason == "stop"
    version = gateway.admin("/api/v1/policy")["ruleset"]
    model.pieces = ["今天。", model.WAIT, "你是个坏蛋。"]
    stream = iter(ask(gateway, stream=True))
    first = next(stream)
    own.write("{kind: http, api: tei, url: URL, labels: {advert: X.spam}}")
    eventually(lambda: gateway.admin("/api/v1/policy")["ruleset"] != version)
    model.gate.set()
    rest = [first, *stream]
    assert rest[-1].choices[0].finish_reason == "content_filter"
    assert "坏" not in "".join(chunk.choices[0].delta.content or "" for chunk in rest if chunk.choices)
    model.pieces = ["好。"]
    assert ask(gateway, "你是个坏蛋").choices[0].finish_reason == "stop"

    path = own.write("{kind: http, api: tei, url: URL, labels: {insults: A4.a.bullying}}")
    assert eventually(lambda: ready(gateway)[1]["reasons"]) == [REFUSED]
    (told,) = eventually(lambda: gateway.admin("/api/v1/policy")["problems"])
    assert f"{path}:2: classifier.labels.insults: http has no label 'insults': did you mean 'insult'?" in told
    assert ask(gateway, "赌场").choices[0].finish_reason == "content_filter"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{kind: transformers, model: ./nowhere, labels: {a: X.spam}}", r"policy.yaml:2: classifier.model: ./nowhere"),
        ("{kind: http, api: tei, url: URL, key: guard, labels: {a: X.spam}}", "SLUICE_CLASSIFIER_KEY_GUARD"),
        ("{kind: http, api: tei, url: URL, labels: {a: X.spam}}", "classifier.labels.a: http has no label 'a'"),
    ],
)
def test_a_classifier_that_cannot_be_used_is_told_at_the_start(own, rule, said):
    """The message names file, line, key, and what to change."""
    assert said in own(rule).fails_to_start()


def test_the_key_is_sent_and_told_to_nobody(own, classifier_server):
    """It comes from the environment by the name in the policy, and stands in no log and no answer."""
    gateway = own(
        "{kind: guard, format: llama-guard, model: llama-guard-4, url: URL, key: my-guard}",
        classifier_key_my_guard=KEY,
        log_level="debug",
    ).start()
    assert ask(gateway).choices[0].finish_reason == "stop"
    assert {seen["key"] for seen in classifier_server.seen} == {f"Bearer {KEY}"}
    assert KEY not in json.dumps(gateway.admin("/api/v1/policy"))
    assert KEY not in gateway.cli("config")
    assert gateway.terminate() == 0
    assert KEY not in "".join(gateway.log)


def test_what_was_not_read_makes_the_coverage_partial(own, model, transformers_models):
    """In headers, records and moderations: a model that reads only the first window of a segment says so."""
    short = f"{{kind: transformers, model: MODELS/onnx, labels: {LABELS}, windows: 1, cut: length}}"
    gateway = own(short).start()
    long = "今天天气很好我们去公园散步" * 4
    answer = gateway.client.chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": long}]
    )
    assert answer.headers["x-sluice-coverage"] == "partial"
    answer = gateway.client.chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": "你好"}]
    )
    assert answer.headers["x-sluice-coverage"] == "full"
    judged = gateway.client.moderations.create(input=["你是个坏蛋" + long, "你是个坏蛋"]).results
    assert [one.model_extra["sluice"]["coverage"] for one in judged] == ["partial", "full"]
    assert {item["coverage"] for item in gateway.admin("/api/v1/violations")["items"]} == {"partial", "full"}


def test_our_own_format(own, tmp_path):
    """`kind: onnx` takes the shipped model, and a threshold of 0 shows that it scores."""
    everything = 'categories: {"*": {action: block, threshold: 0.0}}\nclassifier: {kind: onnx, model: shipped}\n'
    gateway = own("{kind: onnx}", classifier="none", policy=tmp_path / "mine.yaml")
    (tmp_path / "mine.yaml").write_text(everything)
    assert ask(gateway.start()).choices[0].finish_reason == "content_filter"
    (violation,) = gateway.admin("/api/v1/violations")["items"]
    shown = json.loads(gateway.cli("model", "try", "你好", "--json"))
    assert shown["version"] == violation["model_version"]


def test_two_workers_have_a_classifier_each(own, model):
    """Every process loads what the policy names."""
    gateway = own(KINDS["export"], workers=2).start()
    for _ in range(8):
        assert ask(gateway, "你是个坏蛋").choices[0].finish_reason == "content_filter"
    assert model.seen == []
