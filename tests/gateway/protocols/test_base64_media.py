"""What is taken for media and what for words."""

import pytest

from gateway.protocols.base64_media import is_base64


@pytest.mark.parametrize(
    ("value", "expected"),
    [("aGk=", True), ("a-_b", True), ("aGk=\r\naGk=", True), ("", True), ("to be", False), ("词", False), (7, False)],
)
def test_base64(value, expected):
    """Both alphabets and line ends; a space or anything else makes it text."""
    assert is_base64(value) is expected
