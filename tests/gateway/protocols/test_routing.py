"""Which adapter reads a path."""

import pytest

from gateway.protocols.routing import adapter_for, segments

CHAT = [
    "/v1/chat/completions",
    "/chat/completions",
    "/openai/deployments/gpt-x/chat/completions?api-version=2024-10-21",
    "/api/v3/chat/completions",
    "/compatible-mode/v1/chat/completions",
    "//v1//chat/completions",
    "/v1/chat/completions/",
    "/v1/Chat/COMPLETIONS",
    "/v1/%63hat/completions",
    "/v1/%2563hat/completions",
    "/v1/chat%2Fcompletions",
    "/v1/x/../chat/./completions",
    "/v1/chat/completions;a=b",
    "/v1/chat;x/completions",
    "/v1/chat/completions%3Fx=1",
    "/v1\\chat\\completions",
    "/v1/chat/completions%00",
    "/v1/chat/completions%20",
    "/v1/chat/completions#x",
    "http://host/v1/chat/completions",
]


@pytest.mark.parametrize("path", CHAT)
def test_spelling_tricks_change_nothing(path):
    """However a chat path is spelt, the chat adapter reads it."""
    assert adapter_for("POST", path).name == "openai.chat"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/completions", "openai.completions"),
        ("/openai/deployments/d/Completions/", "openai.completions"),
        ("/v1/models", "generic"),
        ("/v1/chat/completions/extra", "generic"),
        ("/", "generic"),
        ("", "generic"),
        ("/v1/models?x=/chat/completions", "generic"),
        ("/v1/embeddings?x=/chat/completions", "openai.embeddings"),
        ("/V1//Responses/", "openai.responses"),
        ("/openai/v1/responses/resp_1?stream=true", "openai.responses"),
        ("/v1/responses/resp_1/cancel", "openai.responses"),
        ("/v1/responses/resp_1/input_items?limit=2", "openai.responses"),
        ("/v1/responses/input_tokens", "openai.responses"),
        ("/surveys/responses/12", "generic"),
        ("/v1/images/generations", "openai.images"),
        ("/v1/images/edits", "openai.images"),
        ("/v1/audio/speech", "openai.speech"),
        ("/v1/audio/%74ranscriptions", "openai.transcription"),
        ("/v1/audio/translations", "openai.transcription"),
        ("/v1/files", "openai.files"),
        ("/v1/files/file-1/content", "openai.file_content"),
        ("/v1/files/file-1", "generic"),
        ("/%ff/%zz", "generic"),
        ("/chat/completions/..", "generic"),
    ],
)
def test_other_paths(path, name):
    """Every API has its own adapter; everything else is read as unknown, never left out."""
    assert adapter_for("POST", path).name == name


def test_segments_never_climb_above_the_root():
    """Dot segments are resolved as a server would."""
    assert segments("/../../v1/./a/../b") == ("v1", "b")
