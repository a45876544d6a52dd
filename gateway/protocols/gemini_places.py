"""The places of Gemini's bodies: which strings are texts, of what kind, and which nobody reads.

The server takes every name in camelCase and in snake_case, so names are compared in camelCase.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from gateway.protocols import jsontext
from gateway.protocols.base64_media import is_base64
from gateway.protocols.event_stream import is_identifier
from gateway.protocols.openai_places import SCHEMA_KEYS
from gateway.protocols.types import Body, Path

_PART_CHANNELS = {
    "text": "content",
    "functionCall": "tool",
    "functionResponse": "tool",
    "executableCode": "tool",
    "codeExecutionResult": "tool",
    "toolCall": "tool",
    "toolResponse": "tool",
}
_ROLES = frozenset(("user", "model", "function", "tool", "system"))
_MIME = re.compile(r"[\w.+-]+/[\w.+-]+(?:; ?[\w.=+-]+)*", re.ASCII)
_SCHEMA_TYPES = frozenset(("string", "object", "array", "number", "integer", "boolean", "null"))
# Fields whose values come from a vocabulary, and the vocabulary. Elsewhere, and otherwise, the same is text.
_WORD_FIELDS = frozenset(
    (
        *("category", "threshold", "method", "probability", "severity", "finishReason", "blockReason", "modality"),
        *("language", "outcome", "mode", "taskType", "behavior", "trafficType", "thinkingLevel", "mediaResolution"),
        *("responseModalities", "urlRetrievalStatus", "scheduling"),
    )
)
_HARMS = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "DANGEROUS", "CIVIC_INTEGRITY")
_WORDS = frozenset(
    (
        *(f"HARM_CATEGORY_{harm}" for harm in _HARMS),
        *("BLOCK_NONE", "BLOCK_ONLY_HIGH", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_LOW_AND_ABOVE", "OFF", "SEVERITY"),
        *("NEGLIGIBLE", "LOW", "MEDIUM", "HIGH", "MINIMAL", "PROBABILITY", "AUTO", "ANY", "NONE", "VALIDATED"),
        *(f"HARM_SEVERITY_{level}" for level in ("NEGLIGIBLE", "LOW", "MEDIUM", "HIGH")),
        *("STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
        *("MALFORMED_FUNCTION_CALL", "IMAGE_SAFETY", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "NO_IMAGE"),
        *("TEXT", "IMAGE", "AUDIO", "VIDEO", "DOCUMENT", "PYTHON", "OUTCOME_OK", "OUTCOME_FAILED", "ON_DEMAND"),
        *("OUTCOME_DEADLINE_EXCEEDED", "MODE_DYNAMIC", "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT", "CLUSTERING"),
        *("SEMANTIC_SIMILARITY", "CLASSIFICATION", "QUESTION_ANSWERING", "FACT_VERIFICATION", "BLOCKING"),
        *("NON_BLOCKING", "URL_RETRIEVAL_STATUS_SUCCESS", "URL_RETRIEVAL_STATUS_ERROR", "SILENT", "WHEN_IDLE"),
    )
)
HEADER = ("modelVersion", "responseId", "createTime")
_IDS = frozenset(("model", "cachedContent", *HEADER))
_MEDIA = frozenset(("inlineData", "fileData"))
# Below these, keys are text; below the first, everything is.
_FREE = frozenset(("args", "response"))
_KEYED = frozenset((*_FREE, "tools", "responseSchema", "responseJsonSchema", "labels", "partialArgs"))
_KEYS = SCHEMA_KEYS | frozenset(
    (
        *("functionDeclarations", "googleSearch", "codeExecution", "googleSearchRetrieval", "urlContext", "nullable"),
        *("propertyOrdering", "parametersJsonSchema", "responseJsonSchema", "response", "behavior", "googleMaps"),
        *("dynamicRetrievalConfig", "dynamicThreshold", "mode", "example", "minLength", "maxLength", "computerUse"),
        *("environment", "retrieval", "jsonPath", "stringValue", "numberValue", "boolValue", "nullValue", "result"),
        *("willContinue", "output", "content"),
    )
)


@lru_cache(maxsize=4096)
def camel(name: str) -> str:
    """A field's name in camelCase."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest) if rest and head else name


def names(path: Path) -> list[str]:
    """The names on a path, in camelCase."""
    return [camel(step) for step in path if isinstance(step, str)]


def field(node: Body, name: str) -> Body:
    """The value of a field, however its name is spelt."""
    if not isinstance(node, dict):
        return None
    if name in node:
        return node[name]
    return next((value for key, value in node.items() if isinstance(key, str) and camel(key) == name), None)


def is_word(path: Path, text: str) -> bool:
    """Whether a string is of the API's own vocabulary, in a place that has one."""
    if text not in _WORDS:
        return False
    steps = names(path)
    return not _FREE.intersection(steps) and any(step in _WORD_FIELDS for step in steps[-2:])


# What the values of these fields look like; anything else in them is text.
_SHAPES: dict[str, Callable[[str], bool]] = {
    "role": _ROLES.__contains__,
    "mimeType": lambda text: _MIME.fullmatch(text) is not None,
    "responseMimeType": lambda text: _MIME.fullmatch(text) is not None,
    "thoughtSignature": is_base64,
    "type": lambda text: text.lower() in _SCHEMA_TYPES,
}


def is_plumbing(path: Path, text: str) -> bool:
    """Whether a string is an id, a word of the API's own vocabulary or base64: nothing that anybody reads."""
    steps = names(path)
    if not steps or _FREE.intersection(steps[:-1]):
        return False
    last = steps[-1]
    if last in _SHAPES and (last != "type" or "parts" not in steps):
        return _SHAPES[last](text)
    if last == "data" and "inlineData" in steps:
        return is_base64(text)
    named = len(steps) <= 2 if last in _IDS else last == "id" and steps[-2] in ("functionCall", "functionResponse")
    return is_identifier(text) if named else is_word(path, text)


def is_known_key(path: Path, key: str) -> bool:
    """Whether a key is one of the API's own; the keys of schemas, arguments and results are text.

    Args:
        path: of the object that holds it.
        key: the key.
    """
    steps = names(path)
    if _FREE.intersection(steps):
        return False
    return not _KEYED.intersection(steps) or camel(key) in _KEYS


def channel(body: Body, path: Path) -> str:
    """The channel of a text of a request or a whole answer."""
    steps = names(path)
    if "tools" in steps:
        return "tool"
    if "systemInstruction" in steps:
        return "system"
    if "parts" in steps and (at := steps.index("parts") + 1) < len(steps):
        if steps[at] == "text" and field(jsontext.get(body, path[:-1]), "thought") is True:
            return "reasoning"
        return _PART_CHANNELS.get(steps[at], "other")
    return "other"


def is_media(part: Body) -> bool:
    """Whether a part is media."""
    return isinstance(part, dict) and any(camel(name) in _MEDIA for name in part if isinstance(name, str))


def holds_media(node: Body) -> bool:
    """Whether any part below is media."""
    if isinstance(node, list):
        return any(holds_media(one) for one in node)
    return isinstance(node, dict) and (is_media(node) or any(holds_media(value) for value in node.values()))


__all__ = [
    "HEADER",
    "camel",
    "channel",
    "field",
    "holds_media",
    "is_known_key",
    "is_media",
    "is_plumbing",
    "is_word",
    "names",
]
