"""Encryption, pseudonyms and masking."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto import Cipher, DecryptError, excerpt, mask_personal

SECRET = "0123456789abcdef"


@given(st.text())
def test_round_trip(text):
    """What is sealed opens to the same text under the same record."""
    cipher = Cipher(SECRET)
    sealed = cipher.seal(text, "id-1")
    assert Cipher(SECRET).open(sealed, "id-1") == text.encode("utf-8", "replace").decode()


def test_fresh_nonce():
    """The same text is never sealed to the same bytes."""
    cipher = Cipher(SECRET)
    assert len({cipher.seal("same", "id") for _ in range(100)}) == 100


def test_wrong_key_record_or_bytes():
    """Another secret, another record, any changed bit and an unknown format are each a clear error."""
    cipher = Cipher(SECRET)
    sealed = cipher.seal("内容", "id-1")
    with pytest.raises(DecryptError, match="SLUICE_SECRET_KEY"):
        Cipher(SECRET + "x").open(sealed, "id-1")
    with pytest.raises(DecryptError, match="id-2"):
        cipher.open(sealed, "id-2")
    for at in range(len(sealed)):
        with pytest.raises(DecryptError):
            cipher.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], "id-1")
    for short in (b"", sealed[:1], sealed[:9], sealed[:-1]):
        with pytest.raises(DecryptError):
            cipher.open(short, "id-1")


def test_short_secret():
    """A secret that is too short is refused by its setting's name."""
    with pytest.raises(ValueError, match=r"SLUICE_SECRET_KEY must have 16 characters or more; it has 15"):
        Cipher(SECRET[:15])
    Cipher("密" * 16)


def test_pseudonym():
    """A pseudonym is stable, differs by user and by secret, and does not hold the name."""
    cipher = Cipher(SECRET)
    assert cipher.pseudonym("alice@example.com") == Cipher(SECRET).pseudonym("alice@example.com")
    assert re.fullmatch(r"sub_[a-z2-7]{26}", cipher.pseudonym("alice"))
    assert cipher.pseudonym("alice") != cipher.pseudonym("alicf")
    assert cipher.pseudonym("alice") != Cipher(SECRET + "x").pseudonym("alice")
    assert cipher.pseudonym("\ud800") != cipher.pseudonym("?")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("打我电话13812345678吧", "打我电话***********吧"),
        ("+86 138-1234-5678", "*****************"),
        ("１３８１２３４５６７８", "***********"),
        ("身份证11010519491231002X。", "身份证******************。"),
        ("卡号6222 0212 3456 7890 123", "卡号***********************"),
        ("座机010-12345678", "座机************"),
        ("写信到some.one+tag@mail.example.co.uk谢谢", "写信到" + "*" * 31 + "谢谢"),
        ("zhang＠qq.com", "************"),
        ("价格1280元，2026年11月22日，版本3.11", "价格1280元，2026年11月22日，版本3.11"),
        ("@someone 和 a@b", "@someone 和 a@b"),
        ("订单号123456789012", "订单号123456789012"),
        ("", ""),
    ],
)
def test_mask_personal(text, masked):
    """Phone, identity and card numbers and e-mail addresses are masked, one star a character; other numbers stay."""
    assert mask_personal(text) == masked
    assert mask_personal(masked) == masked


def test_masking_stays_linear():
    """No text makes the masking slow."""
    for text in ("a" * 20_000 + "@", "1 " * 20_000, "a.b-c" * 8_000, "a@" + "b." * 10_000, "1" * 50_000):
        started = time.perf_counter()
        mask_personal(text)
        assert time.perf_counter() - started < 1.0


def test_excerpt():
    """An excerpt is a short window round the match, marked where it was cut."""
    text = "甲" * 100 + "炸药" + "乙" * 100
    assert excerpt(text, 100, 102) == "…" + "甲" * 40 + "炸药" + "乙" * 40 + "…"
    assert excerpt("炸药", 0, 2) == "炸药"
    assert len(excerpt("丙" * 10_000, 0, 10_000)) < 200


def test_excerpt_cuts_no_number_open():
    """A number that the window would cut in half is masked all the same."""
    text = "13812345678" + "甲" * 35 + "炸药" + "乙" * 36 + "some.one@example.com"
    window = excerpt(text, 46, 48)
    assert not re.search(r"[0-9A-Za-z]", window)
