"""What model APIs answer, as short as their clients accept: OpenAI chat and responses, Anthropic messages, Gemini, model lists.

Every model says ``PONG``. A streaming answer is the whole event stream at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PONG = "PONG-FROM-FAKE"
MODEL = "fake-model"
JSON = "application/json"
EVENTS = "text/event-stream"


@dataclass(frozen=True)
class Answer:
    """A status, a body, its type, and more headers."""

    status: int = 200
    body: bytes = b"{}"
    type: str = JSON
    headers: Mapping[str, str] | None = None


def of(value: Any, status: int = 200) -> Answer:
    """A JSON answer."""
    return Answer(status, json.dumps(value).encode())


def denied() -> Answer:
    """401, in words that every client takes for its own API's."""
    error = {"type": "authentication_error", "message": "the key is not valid", "code": "invalid_api_key"}
    return of({"type": "error", "error": error}, 401)


def model_answer(method: str, path: str, body: Mapping[str, Any]) -> Answer | None:
    """The answer of the model API a path belongs to; None for a path of none. ``path`` is without its query."""
    streaming = bool(body.get("stream"))
    model = str(body.get("model", MODEL))
    if method in ("GET", "HEAD"):
        if path.endswith("/responses"):
            return of({"error": {"message": "no websocket here"}}, 426)
        return _models() if path.endswith("/models") else None
    if path.endswith("/chat/completions"):
        return _chat(model, streaming)
    if path.endswith("/responses"):
        return _responses(model, streaming)
    if path.endswith("/messages"):
        return _messages(model, streaming)
    if path.endswith("/messages/count_tokens"):
        return of({"input_tokens": 1})
    if ":" in path.rpartition("/")[2]:
        return _gemini(path, wrapped="/v1internal:" in path)
    return None


def _stream(events: Iterable[Any], *, named: bool = False, end: str = "") -> Answer:
    lines = []
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        lines.append(f"{name}data: {json.dumps(event)}\n\n")
    return Answer(body=("".join(lines) + end).encode(), type=EVENTS)


def _models() -> Answer:
    entry = {"id": MODEL, "object": "model", "created": 1, "owned_by": "fake", "type": "model", "display_name": "Fake"}
    return of({"object": "list", "data": [entry], "has_more": False, "first_id": MODEL, "last_id": MODEL})


def _chat(model: str, streaming: bool) -> Answer:
    base = {"id": "chatcmpl-1", "created": 1, "model": model}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    if not streaming:
        choice = {"index": 0, "message": {"role": "assistant", "content": PONG}, "finish_reason": "stop"}
        return of(base | {"object": "chat.completion", "choices": [choice], "usage": usage})
    chunk = base | {"object": "chat.completion.chunk"}
    first = {"index": 0, "delta": {"role": "assistant", "content": PONG}, "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    events = [chunk | {"choices": [first]}, chunk | {"choices": [last]}, chunk | {"choices": [], "usage": usage}]
    return _stream(events, end="data: [DONE]\n\n")


def _responses(model: str, streaming: bool) -> Answer:
    part = {"type": "output_text", "text": PONG, "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    usage = {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 1,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 2,
    }
    base = {"id": "resp_1", "object": "response", "created_at": 1, "model": model, "error": None}
    base |= {"incomplete_details": None, "instructions": None, "metadata": {}, "tools": [], "parallel_tool_calls": True}
    begun = base | {"status": "in_progress", "output": [], "usage": None}
    done = base | {"status": "completed", "output": [item], "usage": usage}
    if not streaming:
        return of(done)
    place = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": item | {"status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **place, "part": part | {"text": ""}},
        {"type": "response.output_text.delta", **place, "delta": PONG, "logprobs": []},
        {"type": "response.output_text.done", **place, "text": PONG, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": done},
    ]
    return _stream((event | {"sequence_number": n} for n, event in enumerate(events)), named=True)


def _messages(model: str, streaming: bool) -> Answer:
    usage = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    base = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}
    text = {"type": "text", "text": PONG}
    if not streaming:
        return of(base | {"content": [text], "stop_reason": "end_turn", "usage": usage})
    events = [
        {"type": "message_start", "message": base | {"content": [], "stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": text | {"text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": PONG}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 1},
        },
        {"type": "message_stop"},
    ]
    return _stream(events, named=True)


def _gemini(path: str, *, wrapped: bool) -> Answer:
    verb = path.rpartition(":")[2]
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    candidate = {"content": {"role": "model", "parts": [{"text": PONG}]}, "finishReason": "STOP", "index": 0}
    answer: dict[str, Any] = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL}
    answer = {"response": answer} if wrapped else answer
    match verb:
        case "streamGenerateContent":
            return _stream([answer])
        case "generateContent":
            return of(answer)
        case "countTokens":
            return of({"totalTokens": 1})
        case "loadCodeAssist":
            tier = {
                "id": "standard-tier",
                "name": "Standard",
                "isDefault": True,
                "userDefinedCloudaicompanionProject": True,
            }
            return of({"currentTier": tier, "allowedTiers": [tier], "cloudaicompanionProject": "fake-project"})
        case "onboardUser":
            return of({"name": "o", "done": True, "response": {"cloudaicompanionProject": {"id": "fake-project"}}})
        case _:
            return of({})
