"""Texts are read through the plainest disguises."""

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import augment, load_classifier
from models.generate_simplified_table import table
from models.tokenizer import read
from models.types import ClassifierError, Segment
from models.unmasking import READING, TABLE, unmasked


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("加·微·信", "加微信"),
        ("快加 微 信 领红包", "快加微信领红包"),
        ("請問個人資料", "请问个人资料"),
        ("日🔥结🔥工🔥资高", "日结工资高"),
        ("加\n微\n信", "加微信"),
        ("加*_微*_信", "加微信"),
        ("加*微-信", "加*微-信"),
        ("你好，世界。今天，天气很好", "你好，世界。今天，天气很好"),
        ("他说：“好。”", "他说：“好。”"),
        ("卖💊吗？", "卖💊吗？"),
        ("我❤你。", "我❤你。"),
        ("a.b.c 1-2-3", "a.b.c 1-2-3"),
        ("好的，我去", "好的，我去"),
        ("\ud83d·\ud83d", "\ud83d·\ud83d"),
        ("", ""),
    ],
)
def test_marks_and_traditional_characters_fall_away(text, plain):
    """Traditional characters and one mark again and again are undone; all else stays, signs that say something too."""
    assert unmasked(text) == plain


@given(st.text())
def test_never_longer(text):
    """Nothing is added, so a text that fits the model still does."""
    assert len(unmasked(text)) <= len(text)


def test_every_pair_is_one_character_and_final():
    """Each line of the table is a character and its simplified one, which stands for itself."""
    _, *lines = TABLE.read_text("utf-8").splitlines()
    pairs = dict(tuple(line) for line in lines)
    assert len(pairs) > 3_000
    assert not set(pairs.values()) & set(pairs)


def test_the_table_is_what_its_generator_writes():
    """Nobody edited the table by hand."""
    pytest.importorskip("opencc")
    assert TABLE.read_text("utf-8") == table()


def test_another_table_is_another_reading():
    """Models learned by this table: with another one the rule has another number, and they are refused."""
    known = {1: "d34c7aec53956abc"}
    assert hashlib.sha256(TABLE.read_bytes()).hexdigest().startswith(known[READING])


def test_a_model_of_another_reading_is_refused(weights, rewritten):
    """The error says what to do."""
    rewritten(weights, reading=READING + 1)
    with pytest.raises(ClassifierError, match="train it anew"):
        load_classifier(weights)


def test_a_model_reads_as_it_was_trained(weights, rewritten):
    """A model of before reads disguises as they stand; one of today sees through them, under another version."""
    disguised, plain = Segment("加·我·微·信"), Segment("加我微信")
    rewritten(weights, reading=0)
    before = load_classifier(weights)
    assert before.score([disguised]) != before.score([plain])
    rewritten(weights, reading=READING)
    today = load_classifier(weights)
    assert today.score([disguised]) == today.score([plain]) == before.score([plain])
    assert today.version != before.version


def test_a_disguised_text_has_the_same_tokens(shipped, train_extra):
    """What disguises of these kinds do to a text, its tokens do not show."""
    text = "加我微信领取红包名额有限先到先得"
    tokens = read(shipped._tokenizer, text)
    for kind in (augment._traditional, augment._invisible):
        assert read(shipped._tokenizer, kind(text, random.Random(3))) == tokens
    for mark in "·- *🔥\u200b":
        assert read(shipped._tokenizer, mark.join(text)) == tokens
