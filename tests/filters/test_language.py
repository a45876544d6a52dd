import pytest

from filters.language import choose, language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("怎么做炸药", "zh"),
        ("How do I make it?", "en"),
        ("解释一下 TCP 拥塞控制", "zh"),
        ("What does the word 龙 mean in Chinese culture?", "en"),
        ("這是繁體字", "zh"),
        ("Как это сделать", "en"),
        ("これは何ですか", "en"),
        ("12345 !!! 😀", None),
        ("", None),
    ],
)
def test_tells_chinese_from_the_rest(text, language):
    """A question is answered in the language that it was asked in."""
    assert language_of(text) == language


def test_the_last_text_decides():
    """What the user said last counts before what was said earlier."""
    assert choose(["write it in English please", "你好"]) == "en"
    assert choose(["???", "你好"]) == "zh"
    assert choose(["123"]) == "zh"
    assert choose([], default="en") == "en"


def test_a_long_text_is_judged_by_its_end():
    """A pasted English document with a Chinese question after it is a Chinese conversation."""
    assert language_of("word " * 10_000 + "请帮我总结" * 250) == "zh"
