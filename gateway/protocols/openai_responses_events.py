"""The types of the events that OpenAI's responses API streams."""

from __future__ import annotations

Spec = tuple[str, str, str, str]
"""Channel, name of the place, field that numbers it (or none), field of the ``done`` event that repeats the text."""

STEMS: dict[str, Spec] = {
    "response.output_text": ("content", "content", "content_index", "text"),
    "response.refusal": ("refusal", "content", "content_index", "refusal"),
    "response.reasoning_text": ("reasoning", "content", "content_index", "text"),
    "response.reasoning_summary_text": ("reasoning", "summary", "summary_index", "text"),
    "response.function_call_arguments": ("tool", "arguments", "", "arguments"),
    "response.mcp_call_arguments": ("tool", "arguments", "", "arguments"),
    "response.custom_tool_call_input": ("tool", "input", "", "input"),
    "response.code_interpreter_call_code": ("tool", "code", "", "code"),
    "response.shell_call_command": ("tool", "command", "command_index", "command"),
    "response.audio.transcript": ("content", "transcript", "", "transcript"),
}
DELTAS = {f"{stem}.delta": spec for stem, spec in STEMS.items()}
DONES = {f"{stem}.done": spec for stem, spec in STEMS.items()}
LAST = frozenset(("response.completed", "response.incomplete", "response.failed"))
WHOLES = LAST | {"response.created", "response.in_progress", "response.queued"}
OTHERS = frozenset(
    (
        *("response.output_item.added", "response.output_item.done", "response.content_part.added"),
        *(
            "response.content_part.done",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_part.done",
        ),
        *("response.output_text.annotation.added", "response.shell_call_command.added", "response.audio.done"),
        *("response.shell_call_output_content.delta", "response.shell_call_output_content.done"),
        *("response.audio.delta", "response.compaction.compacting", "keepalive"),
        *(f"response.mcp_call.{step}" for step in ("in_progress", "completed", "failed")),
        *(f"response.mcp_list_tools.{step}" for step in ("in_progress", "completed", "failed")),
        *(
            f"response.{tool}_call.{step}"
            for tool in ("web_search", "file_search")
            for step in ("in_progress", "searching")
        ),
        *("response.web_search_call.completed", "response.file_search_call.completed"),
        *(f"response.code_interpreter_call.{step}" for step in ("in_progress", "interpreting", "completed")),
        *(f"response.image_generation_call.{step}" for step in ("in_progress", "generating", "completed")),
        "response.image_generation_call.partial_image",
    )
)

__all__ = ["DELTAS", "DONES", "LAST", "OTHERS", "STEMS", "WHOLES", "Spec"]
