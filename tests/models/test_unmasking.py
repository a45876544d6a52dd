"""Texts are read through the plainest disguises."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.augment import disguise
from models.generate_simplified_table import pairs
from models.tokenizer import encode
from models.unmasking import TABLE, unmasked


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("加·微·信", "加微信"),
        ("快加 微 信 领红包", "快加微信领红包"),
        ("請問個人資料", "请问个人资料"),
        ("日🔥结🔥工🔥资高", "日结工资高"),
        ("加\n微\n信", "加微信"),
        ("加*_微*_信", "加微信"),
        ("你好，世界。今天，天气很好", "你好，世界。今天，天气很好"),
        ("a.b.c 1-2-3", "a.b.c 1-2-3"),
        ("好的，我去", "好的，我去"),
        ("", ""),
    ],
)
def test_marks_and_traditional_characters_fall_away(text, plain):
    """Marks between single characters and traditional characters are undone; ordinary punctuation stays."""
    assert unmasked(text) == plain


@given(st.text())
def test_never_longer(text):
    """Nothing is added, so a text that fits the model still does."""
    assert len(unmasked(text)) <= len(text)


def test_every_pair_is_one_character_and_final():
    """Each line of the table is a character and its simplified one, which stands for itself."""
    table = dict(tuple(line) for line in TABLE.read_text("utf-8").splitlines())
    assert len(table) > 3_000
    assert not set(table.values()) & set(table)


def test_the_table_is_what_its_generator_writes(train_extra):
    """Nobody edited the table by hand."""
    assert dict(tuple(line) for line in TABLE.read_text("utf-8").splitlines()) == pairs()


def test_a_disguised_text_has_the_same_tokens(shipped, train_extra):
    """What the measured disguises of these kinds do to a text, its tokens do not show."""
    from models import augment

    text = "加我微信领取红包名额有限先到先得"
    tokens = encode(shipped._tokenizer, text)
    for kind in (augment._traditional, augment._invisible):
        assert encode(shipped._tokenizer, kind(text, random.Random(3))) == tokens
    for mark in "·- *🔥\u200b":
        assert encode(shipped._tokenizer, mark.join(text)) == tokens
    assert encode(shipped._tokenizer, disguise("", random.Random(1))) == []
