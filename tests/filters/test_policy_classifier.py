import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.classifier import (
    CLAUSES,
    CUTTING,
    LENGTHS,
    PROMPT_CUTTING,
    SENTENCES,
    ClassifierFilter,
    Cutting,
    Segmenter,
)
from filters.lexicon import Lexicon
from filters.policy import Policy, PolicyError
from filters.ruleset import Ruleset, cutting_of
from filters.types import Blocked, Cleared, Direction, ScoreNeeded

HTTP = "{kind: http, api: tei, url: 'http://127.0.0.1:1', labels: {bad: X.spam}}"


def rule(yaml):
    """The classifier of a policy that says only this."""
    return Policy.parse_yaml(f"classifier: {yaml}").classifier


def test_the_issues_example():
    """A model, and its labels with one code, several, or none on purpose."""
    found = rule("{kind: transformers, model: ./m, labels: {toxic: A4.a.bullying, spam: [X.spam, A1.h], ok: ignore}}")
    assert found.labels == {"toxic": ("A4.a.bullying",), "spam": ("X.spam", "A1.h"), "ok": ()}


def test_onnx_is_what_is_meant_where_nothing_is_said():
    """Without a kind it is a model in our own format, cut as that was trained."""
    assert rule("{model: candidate}").kind == "onnx"
    assert rule("{kind: onnx}").cutting == CUTTING


def test_prompts_are_cut_into_larger_pieces():
    """For a model in our own format, as for the shipped one, unless the policy says how; for others both are alike."""
    shipped = {way: cutting_of(Policy(), way) for way in Direction}
    assert shipped == {Direction.INPUT: PROMPT_CUTTING, Direction.OUTPUT: CUTTING}
    assert {way: rule("{kind: onnx}").cutting_of(way) for way in Direction} == shipped
    other = "{kind: transformers, model: ./m, labels: {a: X.spam}}"
    for said in ("{kind: onnx, context: 0}", "{kind: onnx, segment: 24}", other):
        assert rule(said).cutting_of(Direction.INPUT) == rule(said).cutting_of(Direction.OUTPUT) == rule(said).cutting
        assert (rule(said).cutting.latin, rule(said).cutting.latin_context) == (1, 1)


TEI = "kind: http|api: tei|url: 'http://x'|labels: {a: X.spam}"
MEMBERS = "kind: ensemble|members:|  - "


@pytest.mark.parametrize(
    ("keys", "line", "reason"),
    [
        ("kind: transformer|model: x", 1, "kind must be one of onnx, transformers, guard, http"),
        ("kind: transformers|labels: {a: X.spam}", 1, "classifier.model: is missing"),
        ("kind: transformers|model: x|labels:|  a: X.spams", 5, "did you mean 'X.spam'"),
        ("kind: onnx|segmnt: 9", 3, "unknown key 'classifier.segmnt' (did you mean 'segment'?)"),
        ("kind: http|api: tei|url: 'http://x'", 1, "give the server's labels"),
        (TEI.replace("tei", "chat"), 1, "give model"),
        (TEI.replace("//x", "//u:p@x"), 4, "SLUICE_CLASSIFIER_KEY_NAME"),
        (TEI + "|classes: [a]", 6, "api: vllm"),
        (TEI + "|instructions: x", 6, "api: chat"),
        ("kind: http|api: vllm|url: 'http://x'|classes: [toxic]|labels:|  toxik: X.spam", 7, "did you mean 'toxic'"),
        (
            "kind: http|api: vllm|url: 'http://x'|classes: [a, b, a]|labels: {a: X.spam}",
            5,
            "two classes are called 'a'",
        ),
        ("kind: guard|format: qwen3guard|model: q|key: k", 5, "give its url"),
        ("kind: guard|format: qwen3guard|model: q|probabilities: true", 5, "cannot be read"),
        ("kind: guard|format: llama-guard|model: q|guidelines: {x: No x.}", 5, "only shieldgemma"),
        ("kind: guard|format: shieldgemma|model: q|guidelines: {x: No x.}", 5, "add it to labels"),
        ("segment: 4", 2, "greater than or equal to 8"),
        ("segment: 20|least: 30", 3, "20 characters at most"),
        (MEMBERS + "{kind: onnx}", 3, "two members at least"),
        (MEMBERS + "{kind: onnx, cut: length}|  - " + HTTP, 4, "belongs to the ensemble"),
        (MEMBERS + HTTP + "|  - " + HTTP, 5, "two members are called 'http'"),
        (MEMBERS + "{optional: true}|  - {optional: true, name: b}", 3, "must not be optional"),
        (
            MEMBERS + "{kind: onnx}|  - kind: http|    api: tei|    url: ftp://x|    labels: {a: X.spam}",
            7,
            "members.1.url",
        ),
        (MEMBERS + "{kind: onnx}|  - {kind: ensemble, members: []}", 5, "kind must be one of"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(keys, line, reason):
    """Errors name file, line, key and what to change."""
    with pytest.raises(PolicyError, match=re.escape(reason)) as caught:
        Policy.parse_yaml("classifier:\n  " + keys.replace("|", "\n  "), "p.yaml")
    assert str(caught.value).startswith(f"p.yaml:{line}: ")


def test_what_is_no_description():
    """A word in place of one is an error, too."""
    with pytest.raises(PolicyError, match="kind must be one of"):
        rule("shipped")


def test_the_schema_knows_every_kind():
    """`sluice policy schema` has each kind with its keys described, and takes no others."""
    kinds = {}
    for definition in Policy.schema()["$defs"].values():
        if "kind" in definition.get("properties", {}):
            kinds[definition["properties"]["kind"]["const"]] = definition
            assert definition["additionalProperties"] is False
            assert all("description" in value for value in definition["properties"].values()), definition["title"]
    assert set(kinds) == {"onnx", "transformers", "guard", "http", "ensemble"}
    assert set(kinds["http"]["required"]) == {"kind", "api", "url"}


def test_the_version_says_which_classifier_decides():
    """A policy without one keeps its version; with one, description and weights are in the ruleset's."""
    plain, named = Policy(), Policy.parse_yaml(f"classifier: {HTTP}")
    assert plain.version == Policy.parse_yaml("classifier: null").version != named.version

    def version(policy, model):
        return Ruleset(policy, Lexicon([]), model, ["X.spam"]).version

    assert version(plain, "a") == version(plain, "b")
    assert version(named, "a") != version(named, "b")


def test_profiles_keep_the_classifier():
    """A profile differs in rules, never in who scores."""
    policy = Policy.parse_yaml(f"classifier: {HTTP}\nprofiles: {{a: {{mode: monitor}}}}")
    assert policy.profile("a").classifier == policy.classifier


cuttings = st.builds(
    Cutting,
    chars=st.integers(8, 40),
    context=st.integers(0, 30),
    ends=st.sampled_from([CLAUSES, SENTENCES, LENGTHS]),
    least=st.integers(1, 8),
    latin=st.integers(1, 4),
    latin_context=st.integers(1, 4),
)
runs = st.sampled_from(["一二三四", "abcde", "é1 ", "a", "一", "。", "，", "!", "\n", "’", "二二"])
texts = st.integers(0, 30).flatmap(lambda count: st.lists(runs, min_size=count, max_size=count)).map("".join)


def counted(text, latin):
    """Where each character of a text ends, of which so many Latin ones in a row are one."""
    ends, row = [0], 0
    for at, char in enumerate(text, start=1):
        row = row + 1 if char in " abcdeé1!\n’" else 0
        if row % latin != 1 % latin and row > 1:
            ends[-1] = at
        else:
            ends.append(at)
    return ends


def segments(cutting, text, cuts):
    """The segments of a text that comes in pieces."""
    segmenter, found, start = Segmenter(cutting), [], 0
    for end in [*sorted(cut % (len(text) + 1) for cut in cuts), len(text)]:
        segmenter.feed(text[start:end])
        start = end
        while (segment := segmenter.cut()) is not None:
            found.append(segment)
    segmenter.finish()
    while (segment := segmenter.cut()) is not None:
        found.append(segment)
    return found


@given(cuttings, texts, st.lists(st.integers(0, 200), max_size=12))
def test_segments_are_a_function_of_the_text(cutting, text, cuts):
    """However a text is cut into chunks: the same segments, which cover it and keep to their bounds."""
    found = segments(cutting, text, cuts)
    assert found == segments(cutting, text, []) == segments(cutting, text, range(len(text)))
    assert [segment.start for segment in found] == [0, *(segment.end for segment in found)][: len(found)]
    assert sum(segment.end - segment.start for segment in found) == len(text)
    for segment in found:
        raw = text[segment.start : segment.end]
        ends = counted(text[segment.start :], cutting.latin)
        most, least = ends[: cutting.chars + 1][-1], ends[: cutting.least][-1]
        assert len(raw) <= most
        if segment is not found[-1]:
            assert len(raw) == most or (cutting.ends.fullmatch(raw[-1]) and len(raw) > least)
        assert not cutting.ends.search(raw[least:-1])
        before = text[: segment.span.start]
        reach = counted(before[::-1], cutting.latin_context)[: cutting.context + 1][-1]
        assert segment.context == before[len(before) - reach :]


@given(texts, st.lists(st.integers(0, 200), max_size=8))
def test_verdicts_do_not_depend_on_chunks(text, cuts):
    """With a policy's own cutting a stream clears and blocks the same for every way the text is cut."""
    policy = Policy.parse_yaml(f"classifier: {HTTP[:-1]}, segment: 12, least: 3, context: 5}}")
    ruleset = Ruleset(policy, Lexicon([]), "m", ["X.spam"])

    def outcome(cuts):
        stream, events, start = ruleset.open(Direction.OUTPUT), [], 0
        for end in [*sorted(cut % (len(text) + 1) for cut in cuts), len(text)]:
            if not stream.done:
                events += answered(stream, stream.feed(text[start:end]))
            start = end
        if not stream.done:
            events += answered(stream, stream.finish())
        return stream.cleared, [event.at for event in events if isinstance(event, Blocked)], stream.decision().action

    def answered(stream, events):
        events = list(events)
        for event in events:
            if isinstance(event, ScoreNeeded) and not stream.done:
                events += stream.resolve(event.ticket, {"X.spam": 1.0 if "二二" in event.text else 0.0})
        return [event for event in events if not isinstance(event, Cleared)]

    assert outcome(cuts) == outcome([])


def test_a_filter_cuts_whole_texts_alike():
    """Whole bodies are cut as streams are."""
    cutting = rule(HTTP).cutting
    assert (cutting.chars, cutting.context, cutting.least) == (200, 64, 1)
    found = ClassifierFilter("m", ["X.spam"], {}, cutting).segments("一句，还是一句。第二句")
    assert [segment.text for segment in found] == ["一句，还是一句。", "第二句"]
