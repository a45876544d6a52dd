"""The shipped policy: valid, complete, and courteous."""

from pathlib import Path

import pytest
import yaml

from filters.keyword import build_filters
from filters.lexicon import Lexicon, read_csv
from filters.policy import Policy
from filters.taxonomy import CATEGORIES
from filters.types import Action, Direction, OnError

SHIPPED = Path(__file__).parents[2] / "gateway" / "shipped"
TEXT = (SHIPPED / "policy.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def policy() -> Policy:
    """Give the shipped policy."""
    return Policy.parse_yaml(TEXT, "policy.yaml")


def test_every_key_is_shown():
    """The file shows every key that a policy has, so that an operator need not guess what can be set."""
    keys = {field.alias or name for name, field in Policy.model_fields.items()}
    assert set(yaml.safe_load(TEXT)) == keys


def test_fails_closed(policy):
    """As shipped, a failing filter blocks, unreadable bodies are blocked, and nothing leaves unscored."""
    assert policy.enforce
    assert policy.on_error[Direction.INPUT] is OnError.BLOCK
    assert policy.on_error[Direction.OUTPUT] is OnError.BLOCK
    assert policy.unknown == "block"
    assert policy.exposure_limit == 0
    assert not policy.allow_profile_header


@pytest.mark.parametrize("direction", Direction)
def test_what_the_law_forbids_is_blocked(policy, direction):
    """Every category that is illegal nearly everywhere is blocked in both directions."""
    codes = [code for code in CATEGORIES if code.startswith(("A1.", "A3.e.")) and code != "A1.g"]
    assert [code for code in codes if policy.rule(code, direction).action is not Action.BLOCK] == []


def test_despair_is_not_refused(policy):
    """What people say about their own despair is delivered and recorded."""
    assert policy.rule("A4.a.self_harm", Direction.INPUT).action is Action.FLAG


def test_insults_are_masked_in_answers(policy):
    """A model's insult is masked; a user's is only recorded."""
    assert policy.rule("A4.a.bullying", Direction.INPUT).action is Action.FLAG
    assert policy.rule("A4.a.bullying", Direction.OUTPUT).action is Action.MASK


def test_attacks_on_the_model_are_stopped_on_their_way_in(policy):
    """Injection and jailbreak wording is blocked in requests and only recorded in answers, which may discuss it."""
    for code in ("X.prompt_injection", "X.jailbreak", "X.system_prompt_leak"):
        assert policy.rule(code, Direction.INPUT).action is Action.BLOCK
        assert policy.rule(code, Direction.OUTPUT).action is Action.FLAG


@pytest.mark.parametrize("language", ["zh", "en"])
def test_refusals_pass_their_own_filters(policy, language):
    """The refusal texts are not themselves caught by the shipped lexicon."""
    lexicon = Lexicon(read_csv((SHIPPED / "lexicon.csv").read_text(encoding="utf-8"), "lexicon.csv"))
    for each in build_filters(lexicon):
        scanner = each.open()
        assert [*scanner.feed(policy.refusal_text(language)), *scanner.finish()] == []


def test_comments_are_bilingual():
    """Every block of comments speaks Chinese and English."""
    blocks = [block for block in TEXT.split("\n\n") if "#" in block]
    comments = ["".join(line for line in block.splitlines() if "#" in line) for block in blocks]
    assert [text for text in comments if not any("\u4e00" <= char <= "\u9fff" for char in text)] == []
    assert [text for text in comments if not any(char.isascii() and char.isalpha() for char in text)] == []
