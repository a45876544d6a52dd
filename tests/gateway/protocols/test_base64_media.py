"""What is taken for media and what for words."""

import pytest

from gateway.protocols.base64_media import is_base64
from gateway.protocols.openai_chat import OpenAIChat
from gateway.protocols.openai_responses import OpenAIResponses


@pytest.mark.parametrize(
    ("value", "expected"),
    [("aGk=", True), ("a-_b", True), ("aGk=\r\naGk=", True), ("", True), ("to be", False), ("词", False), (7, False)],
)
def test_base64(value, expected):
    """Both alphabets and line ends; a space or anything else makes it text."""
    assert is_base64(value) is expected


@pytest.mark.parametrize("adapter", [OpenAIChat(), OpenAIResponses()])
def test_words_behind_a_data_url_are_read(adapter):
    """A blank makes it text: what follows ``base64,`` is media only while it looks like such, in every API alike."""
    url = "data:image/png;base64,please read this"
    image = {"type": "image_url", "image_url": {"url": url}} if adapter.name == "openai.chat" else None
    body = {"messages": [{"role": "user", "content": [image]}]}
    if image is None:
        body = {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]}
    assert url in [part.text for part in adapter.read_request(body).parts]
