"""Strict JSON, walks and edits."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.jsontext import AmbiguousJSON, InvalidJSON, get, is_on, read_json, replace, strings
from gateway.protocols.types import KEY, Edit

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":2}',
        b'{"a":1, "\\u0061":2}',
        b'[{"x":{"k":"1","k":"1"}}]',
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"\\ud800":1}',
    ],
)
def test_two_readings_are_refused(raw):
    """What two parsers could take for different things is ambiguous, wherever it stands."""
    with pytest.raises(AmbiguousJSON):
        read_json(raw)


@pytest.mark.parametrize(
    "raw",
    [
        *(
            b"",
            b" \n",
            b"{",
            b'{"a":NaN}',
            b"[1e999]",
            b"Infinity",
            b"{'a':1}",
            b'{"a":1} x',
            b"[1,]",
            b"\xff\xfe{\0}\0",
        ),
        *(b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        *(b"[" * 251 + b"]" * 251, b"[ " * 251 + b"]" * 251, b'"a\nb"', b'{"a" 1}', b"// c\n{}"),
    ],
)
def test_no_json_is_an_error_and_never_a_recursion_error(raw):
    """Broken, endless and foreign input all end in the same error, whose message quotes nothing."""
    with pytest.raises(InvalidJSON) as error:
        read_json(raw)
    assert len(str(error.value)) < 100


@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_valid_json_is_read_as_every_reader_does(value, indent, ascii_only):
    """However it is printed, a document without duplicates reads as the standard library reads it."""
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert read_json(raw) == json.loads(raw)


@given(JSON, st.text(max_size=3))
def test_a_duplicate_key_anywhere_is_found(value, key):
    """A second key beside any value is found, compact or not, keys with quotes and colons included."""
    inner, name = json.dumps(value), json.dumps(key)
    for space in ("", " "):
        raw = f'{{"x":[{{{name}:{space}{inner},{name}{space}:{inner}}}]}}'.encode()
        with pytest.raises(AmbiguousJSON):
            read_json(raw)


@given(JSON)
def test_strings_finds_every_string_and_key(value):
    """The walk yields exactly the non-empty strings and keys, each at a path that leads back to it."""

    def walk(node):
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            for name, inner in node.items():
                yield name
                yield from walk(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from walk(inner)

    found = list(strings(value, keys=True))
    assert sorted(text for _, text in found) == sorted(text for text in walk(value) if text)
    for path, text in found:
        if KEY in path[:-1]:
            assert text in get(value, path[:-2])
        else:
            assert get(value, path) == text


def test_replace_copies_only_the_way():
    """The original stays, what was not touched is shared, what was is new."""
    body = {"a": [{"t": "x", "u": "y"}, {"t": "z"}], "b": {"c": "d"}}
    edited = replace(body, [Edit(("a", 0, "t"), "*"), Edit(("a", 0, "u"), "+")])
    assert edited == {"a": [{"t": "*", "u": "+"}, {"t": "z"}], "b": {"c": "d"}}
    assert body["a"][0] == {"t": "x", "u": "y"}
    assert edited["b"] is body["b"]
    assert edited["a"][1] is body["a"][1]


def test_replace_keys():
    """A masked key keeps its place and its value; a name that is taken is no reason to lose one."""
    body = {"bad": {"bad": 1, "***": 2}, "z": 0}
    edits = [Edit((KEY, "bad"), "***"), Edit(("bad", KEY, "bad"), "***")]
    assert replace(body, edits) == {"***": {"****": 1, "***": 2}, "z": 0}


def test_replace_of_a_bare_string():
    """A document that is one string is edited at the empty path."""
    assert replace("secret", [Edit((), "******")]) == "******"


def test_get_of_nothing():
    """A path that leads nowhere is a LookupError."""
    for path in (("a", "b"), ("c",), ("a", 0, "x")):
        with pytest.raises(LookupError):
            get({"a": "text"}, path)


def test_lenient_truth():
    """What lenient servers take for true is true."""
    assert [is_on(value) for value in (True, 1, "true", "True", False, 0, None, "no", [])] == [True] * 4 + [False] * 5
