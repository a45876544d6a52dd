"""The vocabulary of Anthropic's messages API: words and names of fields that are no text where the API expects them."""

from __future__ import annotations

MEDIA_BLOCKS = frozenset(("image", "container_upload"))
MEDIA_SOURCES = frozenset(("base64", "url", "file"))
WORD_FIELDS = frozenset(("type", "role", "stop_reason", "service_tier", "speed", "ttl", "effort", "error_code"))
WORDS = frozenset(
    (
        *("user", "assistant", "system"),
        *MEDIA_BLOCKS,
        *MEDIA_SOURCES,
        *("text", "document", "search_result", "thinking", "redacted_thinking", "content", "message", "compaction"),
        *("tool_use", "tool_result", "server_tool_use", "tool_reference", "mcp_tool_use", "mcp_tool_result", "custom"),
        *("web_search_tool_result", "web_search_result", "web_fetch_tool_result", "web_fetch_result"),
        *("code_execution_tool_result", "code_execution_result", "code_execution_output", "direct", "ephemeral"),
        *("bash_code_execution_tool_result", "bash_code_execution_result", "bash_code_execution_output"),
        *("text_editor_code_execution_tool_result", "text_editor_code_execution_view_result"),
        *("text_editor_code_execution_create_result", "text_editor_code_execution_str_replace_result"),
        *("tool_search_tool_result", "tool_search_tool_search_result", "encrypted_code_execution_result"),
        *("tool_search_tool_regex", "tool_search_tool_bm25", "mcp_toolset", "bash", "text_editor", "computer"),
        *("web_search", "web_fetch", "code_execution", "memory", "char_location", "page_location"),
        *("content_block_location", "search_result_location", "web_search_result_location", "refusal", "approximate"),
        *("end_turn", "max_tokens", "stop_sequence", "pause_turn", "model_context_window_exceeded", "json_schema"),
        *("auto", "any", "tool", "none", "enabled", "disabled", "adaptive", "low", "medium", "high", "xhigh", "max"),
        *("standard", "standard_only", "priority", "batch", "fast", "5m", "1h", "not_available", "unavailable"),
        *("string", "object", "array", "number", "integer", "boolean", "null"),
    )
)
KEYS = frozenset(
    (
        *("model", "messages", "system", "max_tokens", "metadata", "user_id", "stop_sequences", "stream"),
        *("temperature", "top_k", "top_p", "tools", "tool_choice", "thinking", "budget_tokens", "service_tier"),
        *("container", "speed", "context_management", "edits", "mcp_servers", "output_config", "output_format"),
        *("effort", "inference_geo", "role", "content", "type", "text", "cache_control", "ttl", "citations"),
        *("enabled", "source", "media_type", "data", "url", "file_id", "title", "context", "signature", "id", "name"),
        *("input", "tool_use_id", "is_error", "caller", "tool_id", "cited_text", "document_index", "document_title"),
        *("file", "start_char_index", "end_char_index", "start_page_number", "end_page_number", "start_block_index"),
        *("end_block_index", "search_result_index", "encrypted_index", "encrypted_content", "page_age"),
        *("retrieved_at", "stdout", "stderr", "return_code", "error_code", "server_name", "tool_name"),
        *("tool_references", "description", "input_schema", "input_examples", "allowed_callers", "defer_loading"),
        *("eager_input_streaming", "max_uses", "allowed_domains", "blocked_domains", "user_location", "city"),
        *("country", "region", "timezone", "display_width_px", "display_height_px", "display_number"),
        *("max_content_tokens", "disable_parallel_tool_use", "stop_reason", "stop_sequence", "stop_details"),
        *("category", "explanation", "usage", "input_tokens", "output_tokens", "cache_creation"),
        *("cache_creation_input_tokens", "cache_read_input_tokens", "server_tool_use", "web_search_requests"),
        *("web_fetch_requests", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "output_tokens_details"),
        *("thinking_tokens", "expires_at", "diagnostics", "index", "delta", "content_block", "partial_json"),
        *("citation", "message", "anthropic_version", "anthropic_beta", "betas", "skills", "properties", "required"),
        *("strict", "items", "enum", "additionalProperties", "schema", "anyOf", "allOf", "oneOf", "not", "$ref"),
        *("$defs", "$schema", "default", "format", "minimum", "maximum", "const", "pattern", "minItems", "maxItems"),
        *("minLength", "maxLength", "examples", "json_schema"),
    )
)
"""Names of the API's own fields and of JSON Schema's. Every other key is text."""

__all__ = ["KEYS", "MEDIA_BLOCKS", "MEDIA_SOURCES", "WORDS", "WORD_FIELDS"]
