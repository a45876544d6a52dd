from models.tokenizer import CLS, SEP, build, encode, pair, windows

_TEXTS = ["今天天气很好", "hello world", "hello there", "微信号 abc123"] * 5


def test_one_token_a_han_character():
    """Each Han character is a token of its own; width, case and invisible characters make no difference."""
    tokenizer = build(_TEXTS, 200)
    assert len(encode(tokenizer, "天气很好")) == 4
    assert encode(tokenizer, "ＨＥＬＬＯ 天\u200b气") == encode(tokenizer, "hello天气")


def test_build_is_deterministic():
    """The same texts give the same vocabulary."""
    assert build(_TEXTS, 200).to_str() == build(_TEXTS, 200).to_str()


def test_lone_surrogates():
    """A lone surrogate is an unknown character, not a crash."""
    assert encode(build(_TEXTS, 200), "天\ud800气")


def test_context_gives_way():
    """A pair never exceeds its limit: the context loses its beginning, the text stays whole."""
    item = pair(range(10, 30), range(50, 55), 12)
    assert item.ids == [CLS, 26, 27, 28, 29, SEP, 50, 51, 52, 53, 54, SEP]
    assert item.kinds == [0] * 6 + [1] * 6
    assert pair([7], range(50, 59), 12).ids == [CLS, SEP, *range(50, 59), SEP]


def test_windows_cover_a_long_text():
    """Every token of a long text is in some window, and neighbours overlap."""
    items = list(windows([], range(10, 110), 23))
    assert {token for item in items for token in item.ids if token >= 10} == set(range(10, 110))
    assert all(len(item.ids) <= 23 for item in items)
