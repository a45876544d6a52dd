import json

import pytest

from filters.policy import Policy, PolicyError, Rule
from filters.taxonomy import CATEGORIES
from filters.types import Action, Direction, OnError

IN, OUT = Direction.INPUT, Direction.OUTPUT
FLAG, MASK, BLOCK = Action.FLAG, Action.MASK, Action.BLOCK

CONTRACT = """
version: 1
mode: enforce
on_block: refuse
on_error: {input: block, output: block}
unknown: block
media: pass
exposure_limit: 0
record_moderations: true
refusal: {zh: 不行, en: no}
categories:
  "*": {action: block, threshold: 0.8}
  A1.h.gambling: {input: {action: flag}, output: {action: block, threshold: 0.7}}
profiles:
  support-bot: {mode: monitor}
"""


def test_reads_every_key_of_the_contract():
    """The contract's example is a valid policy and means what it says."""
    policy = Policy.parse_yaml(CONTRACT)
    assert policy.enforce
    assert (policy.on_block, policy.unknown, policy.media) == ("refuse", "block", "pass")
    assert (policy.on_error[IN], policy.on_error[OUT]) == (OnError.BLOCK, OnError.BLOCK)
    assert (policy.exposure_limit, policy.record_moderations) == (0, True)
    assert (policy.refusal_text("zh"), policy.refusal_text("en")) == ("不行", "no")
    assert policy.rule("A1.h.gambling", IN) == Rule(FLAG, 0.8)
    assert policy.rule("A1.h.gambling", OUT) == Rule(BLOCK, 0.7)
    assert policy.rule("A1.h.drugs", OUT) == Rule(BLOCK, 0.8)
    assert not policy.profile("support-bot").enforce


def test_every_key_has_a_default():
    """An empty policy blocks everything that is found, fails closed and holds everything for the classifier."""
    policy = Policy.parse_yaml("")
    assert policy == Policy()
    assert policy.rule("X.spam", IN) == Rule(BLOCK, 0.8)
    assert (policy.on_block, policy.unknown, policy.media, policy.exposure_limit) == ("refuse", "block", "pass", 0)
    assert policy.on_error[OUT] is OnError.BLOCK
    assert not policy.allow_profile_header
    assert "抱歉" in policy.refusal_text("zh")
    assert "can't help" in policy.refusal_text("en")


def test_the_most_specific_rule_wins_value_by_value():
    """Each of action and threshold comes from the nearest rule that sets it: code, then prefixes, then "*"."""
    policy = Policy.parse(
        {
            "categories": {
                "*": {"action": "flag", "threshold": 0.5},
                "A1": {"action": "mask", "input": {"threshold": 0.6}},
                "A1.h": {"threshold": 0.7},
                "A1.h.gambling": {"action": "block", "input": {"threshold": 0.9}},
            }
        }
    )
    assert policy.rule("A1.h.gambling", IN) == Rule(BLOCK, 0.9)
    assert policy.rule("A1.h.gambling", OUT) == Rule(BLOCK, 0.7)
    assert policy.rule("A1.h.drugs", OUT) == Rule(MASK, 0.7)
    assert policy.rule("A1.a", IN) == Rule(MASK, 0.6)
    assert policy.rule("A1.a", OUT) == Rule(MASK, 0.5)
    assert policy.rule("X.spam", IN) == Rule(FLAG, 0.5)


def test_rules_are_looked_up_once():
    """The hot path finds a rule in one dictionary."""
    policy = Policy.parse_yaml(CONTRACT)
    assert policy.rule("A1.h.gambling", IN) is policy.rule("A1.h.gambling", IN)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("\nmode: enforc", 2, "mode: must be 'enforce' or 'monitor'"),
        ("on_blok: error", 1, "unknown key 'on_blok' (did you mean 'on_block'?)"),
        (
            "mode: enforce\ncategories:\n  A1.h.gamblin: {action: block}",
            3,
            "categories.A1.h.gamblin: unknown category code 'A1.h.gamblin' (did you mean 'A1.h.gambling'?)",
        ),
        (
            "categories:\n  A1:\n    action: blok",
            3,
            "categories.A1.action: unknown action 'blok': use one of allow, flag, mask, block",
        ),
        ("categories: {A1: {action: 3}}", 1, "categories.A1.action: unknown action '3'"),
        ("categories: {A1: {threshold: 2}}", 1, "categories.A1.threshold: must be less than or equal to 1"),
        ("categories: {A1: {threshold: .nan}}", 1, "categories.A1.threshold"),
        ("categories: {A1: {threshold: yes}}", 1, "categories.A1.threshold: must be a valid number"),
        (
            "categories: {A1: {input: {acton: flag}}}",
            1,
            "unknown key 'categories.A1.input.acton' (did you mean 'action'?)",
        ),
        ("exposure_limit: -1", 1, "exposure_limit: must be greater than or equal to 0"),
        ("exposure_limit: true", 1, "exposure_limit"),
        ("record_moderations: 1", 1, "record_moderations"),
        ("refusal: {zh: '  '}", 1, "refusal.zh"),
        ("version: 2", 1, "version: must be 1"),
        ("mode: enforce\nunknown: pass\nmode: monitor", 3, "key 'mode' stands here again; first on line 1"),
        ("categories:\n  A1: {action: flag}\n  A1: {action: block}", 3, "key 'A1' stands here again"),
        ("mode: [", 1, "expected the node content"),
        ("mode: enforce\n\tx: 1", 2, "found character '\\t'"),
        ("1: 2", 1, "a key must be text, unlike 1: put it in quotes"),
        ("- mode", 1, "must be a mapping of keys to values"),
        ("x: &a 1\ny: *a", 2, "anchors and aliases are not allowed"),
        ("mode: enforce\0", None, "special characters are not allowed"),
        ("a: " + "[" * 50_000, None, "nested too deep"),
        ("unknown: 1\nmode: x", 1, "unknown: must be 'block' or 'pass' (and 1 more)"),
        ("profiles:\n  'a b': {}", 2, "profiles.a b"),
        ("profiles:\n  a: {mode: x}", 2, "profiles.a.mode"),
        ("profiles:\n  a: {routes: [v1]}", 2, "a route is a path prefix and begins with '/', unlike 'v1'"),
        ("profiles:\n  a: {keys: [x]}\n  b: {keys: [x]}", 1, "'x' is among the keys of both 'a' and 'b'"),
        ("!!python/object/apply:os.system ['true']", 1, "must be a mapping of keys to values"),
        ("mode: !!python/name:os.system x", 1, "could not determine a constructor"),
    ],
)
def test_errors_name_file_line_and_reason(text, line, reason):
    """A policy that cannot be used says where it is wrong and what to change."""
    with pytest.raises(PolicyError) as caught:
        Policy.parse_yaml(text, "policy.yaml")
    error = caught.value
    assert error.file == "policy.yaml"
    assert line is None or error.line == line
    assert reason in error.reason
    assert str(error).startswith("policy.yaml")


def test_errors_of_plain_data_have_no_line():
    """The same checks hold for a policy that comes as JSON."""
    with pytest.raises(PolicyError, match=r"^policy: mode: must be"):
        Policy.parse({"mode": "x"})
    with pytest.raises(PolicyError, match="must be a mapping"):
        Policy.parse(None)


def test_a_policy_cannot_be_changed():
    """Whoever holds a policy knows what it says."""
    with pytest.raises(ValueError, match="frozen"):
        Policy().mode = "monitor"


def test_the_version_is_a_hash_of_the_content():
    """Two ways of writing the same policy have one version; any other policy has another."""
    policy = Policy.parse_yaml(CONTRACT)
    assert Policy.parse(json.loads(json.dumps(policy.model_dump(mode="json", by_alias=True)))).version == policy.version
    assert Policy.parse({"mode": "enforce"}).version == Policy().version
    assert Policy.parse({"categories": {"A1": {"action": "flag"}}}).version == "aef225eec0dbf5f6"
    assert Policy.parse({"categories": {"A1": {"context_threshold": 0.4}}}).version != Policy().version
    short = Policy.parse({"categories": {"A1": {"action": "flag"}, "X": {"action": "mask"}}})
    long = Policy.parse(
        {
            "categories": {
                "X": {"action": "mask"},
                "A1": {"input": {"action": "flag"}, "output": {"action": "flag"}},
            }
        }
    )
    assert short.version == long.version
    assert len({policy.version, short.version, Policy().version, policy.profile("support-bot").version}) == 4


def test_pain_23_a_profile_overrides_value_by_value():
    """What a profile says wins, in each direction it says it for; what it leaves out is the policy's."""
    policy = Policy.parse(
        {
            "on_error": {"input": "pass"},
            "refusal": {"zh": "不行"},
            "categories": {
                "*": {"threshold": 0.6},
                "A1": {"input": {"action": "flag"}, "threshold": 0.7},
                "A1.h": {"action": "mask"},
            },
            "profiles": {
                "strict": {
                    "on_error": {"output": "pass"},
                    "refusal": {"en": "no"},
                    "categories": {"A1": {"action": "block"}, "X": {"output": {"action": "allow"}}},
                }
            },
        }
    )
    strict = policy.profile("strict")
    assert strict.rule("A1.a", IN) == Rule(BLOCK, 0.7)
    assert strict.rule("A1.h.drugs", IN) == Rule(MASK, 0.7)  # more specific, so it still wins
    assert strict.rule("X.spam", OUT) == Rule(Action.ALLOW, 0.6)
    assert strict.rule("X.spam", IN) == Rule(BLOCK, 0.6)
    assert (strict.on_error[IN], strict.on_error[OUT]) == (OnError.PASS, OnError.PASS)
    assert (strict.refusal_text("zh"), strict.refusal_text("en")) == ("不行", "no")
    assert policy.rule("A1.a", IN) == Rule(FLAG, 0.7)
    assert policy.profile("strict") is strict
    assert policy.profile(None) is policy


def test_an_unknown_profile_is_an_error():
    """A slip in a profile's name never means the policy without it."""
    with pytest.raises(PolicyError, match=r"unknown profile 'support' \(did you mean 'support-bot'\?\)"):
        Policy.parse_yaml(CONTRACT).profile("support")


def test_profiles_are_chosen_by_header_then_key_then_longest_route():
    """The narrower choice wins, and a client chooses only where the policy lets it."""
    profiles = {
        "all": {"routes": ["/"]},
        "chat": {"routes": ["/v1/chat/", "/v2"]},
        "bot": {"keys": ["bot"]},
    }
    policy = Policy.parse({"profiles": profiles})
    assert policy.choose_profile(path="/v1/chat/completions") == "chat"
    assert policy.choose_profile(path="/v1/chat") == "chat"
    assert policy.choose_profile(path="/v1/chatter") == "all"
    assert policy.choose_profile(path="/v1/chat", key="bot") == "bot"
    assert policy.choose_profile(path="/v1/chat", key="other", header="bot") == "chat"
    assert Policy.parse_yaml(CONTRACT).choose_profile(path="/v1/chat") is None
    open_policy = Policy.parse({"profiles": profiles, "allow_profile_header": True})
    assert open_policy.choose_profile(path="/v1/chat", key="bot", header="all") == "all"
    with pytest.raises(PolicyError, match="unknown profile 'none'"):
        open_policy.choose_profile(path="/v1/chat", header="none")


def test_the_schema_serves_editors():
    """The JSON Schema names every key with a description and every category code."""
    schema = Policy.schema()
    assert schema["additionalProperties"] is False
    assert {"version", "mode", "on_error", "categories", "profiles", "refusal"} <= schema["properties"].keys()
    assert all("description" in value for value in schema["properties"].values())
    assert schema["properties"]["mode"]["enum"] == ["enforce", "monitor"]
    assert {"*", "A1", "A1.h", "A1.h.gambling"} <= set(schema["properties"]["categories"]["propertyNames"]["enum"])
    actions = schema["$defs"]["RuleSetting"]["properties"]["action"]["anyOf"][0]
    assert actions["enum"] == ["allow", "flag", "mask", "block"]
    json.dumps(schema)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"categories": {"*": {"threshold": 0.9}, "A1.h": {"input": {"action": "flag"}}}},
        {"categories": {"*": {"output": {"action": "mask", "context_threshold": 0.7}}}},
    ],
)
def test_what_is_shown_leaves_nothing_to_know(said):
    """Every default stands in it, those of the rule for everything else too, and it reads as one that decides alike."""
    policy = Policy.parse(said)
    shown = policy.filled()
    assert Policy.model_fields.keys() - {"format_version", "classifier"} | {"version"} == shown.keys()
    assert {"action", "threshold", "disguise_threshold", "context_threshold"} <= shown["categories"]["*"].keys()
    again = Policy.parse(shown)
    for code in CATEGORIES:
        for direction in Direction:
            assert again.rule(code, direction) == policy.rule(code, direction)
