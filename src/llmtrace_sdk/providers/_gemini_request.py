"""Reading requests of the Gemini API, on Google AI and on Vertex AI.

Clients mix both spellings of protobuf JSON (`inlineData`, `inline_data`), so both are read everywhere.
Source: https://ai.google.dev/api/generate-content and https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core.model import Channel, Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._reading import mapping, require_mapping, sequence, text
from llmtrace_sdk.providers._shared import UNKNOWN_ROLE, Draft, pick, real, short, strings, whole

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Prompt

CODE_TOOL = "code_execution"
CACHED_CONTENT = "cached_content"
"""Coverage code: part of the prompt is stored at the provider and is not in the body."""
REMOTE_TOOLS = "remote_tools"

_CHANNELS: dict[Any, Channel] = {
    "user": "user",
    "model": "assistant",
    "assistant": "assistant",
    "system": "system",
    "function": "tool",
    "tool": "tool",
}
_OUTPUT_TYPES = {"application/json": "json", "text/x.enum": "json", "text/plain": "text"}
_MODALITIES = {"IMAGE": "image", "AUDIO": "speech"}
_BLOBS = ("inlineData", "inline_data", "fileData", "file_data")
_EMPTY_PARTS = frozenset({"thoughtSignature", "thought_signature", "thought", "partMetadata", "part_metadata"})
NO_TEXT = _EMPTY_PARTS.union(_BLOBS)
"""Members of a part that hold no readable text."""


def read_generate(payload: Any, model: str | None, stream: bool) -> Prompt:
    """Read a `generateContent` body; raises `Unreadable`."""
    body = require_mapping(payload)
    if "contents" not in body:
        raise Unreadable("unknown_shape")
    contents = _Contents()
    key, instruction = pick(body, "systemInstruction", "system_instruction")
    if instruction is not None:
        contents.content(instruction, f"/{key}", "system")
    contents.many(body["contents"], "/contents")
    contents.tools(body.get("tools"), "/tools")
    if pick(body, "cachedContent", "cached_content")[1]:
        contents.draft.note(CACHED_CONTENT)
    return contents.draft.prompt(model or body.get("model"), stream, _settings(body))


def read_embed(payload: Any, model: str | None) -> Prompt:
    """Read an `embedContent`, `batchEmbedContents` or (Vertex AI) `predict` body; raises `Unreadable`."""
    body = require_mapping(payload)
    contents = _Contents()
    if "content" in body:
        contents.content(body["content"], "/content")
        first = body
    elif isinstance(body.get("requests"), list):
        for at, request in enumerate(body["requests"]):
            contents.content(mapping(request).get("content"), f"/requests/{at}/content")
        first = mapping(next(iter(body["requests"]), None))
    elif isinstance(body.get("instances"), list):
        for at, instance in enumerate(body["instances"]):
            contents.draft.add(mapping(instance).get("content"), "user", f"/instances/{at}/content")
        first = mapping(body.get("parameters"))
    else:
        raise Unreadable("unknown_shape")
    settings = Settings(dimensions=whole(pick(first, "outputDimensionality", "output_dimensionality")[1]))
    return contents.draft.prompt(model, stream=False, settings=settings)


def _settings(body: dict[str, Any]) -> Settings:
    config = mapping(pick(body, "generationConfig", "generation_config")[1])
    thinking = mapping(pick(config, "thinkingConfig", "thinking_config")[1])
    return Settings(
        max_tokens=whole(pick(config, "maxOutputTokens", "max_output_tokens")[1]),
        temperature=real(config.get("temperature")),
        top_p=real(pick(config, "topP", "top_p")[1]),
        top_k=whole(pick(config, "topK", "top_k")[1]),
        frequency_penalty=real(pick(config, "frequencyPenalty", "frequency_penalty")[1]),
        presence_penalty=real(pick(config, "presencePenalty", "presence_penalty")[1]),
        seed=whole(config.get("seed")),
        stop_sequences=strings(pick(config, "stopSequences", "stop_sequences")[1]),
        choice_count=whole(pick(config, "candidateCount", "candidate_count")[1]),
        reasoning_level=short(pick(thinking, "thinkingLevel", "thinking_level")[1]),
        output_type=_output_type(config),
        service_tier=short(pick(body, "serviceTier", "service_tier")[1]),
    )


def _output_type(config: dict[str, Any]) -> str | None:
    for modality in strings(pick(config, "responseModalities", "response_modalities")[1]):
        if modality.upper() in _MODALITIES:
            return _MODALITIES[modality.upper()]
    mime = text(pick(config, "responseMimeType", "response_mime_type")[1])
    return _OUTPUT_TYPES.get(mime) if mime else None


class _Contents:
    """One request being walked."""

    __slots__ = ("draft",)

    def __init__(self) -> None:
        self.draft = Draft()

    def many(self, value: Any, pointer: str) -> None:
        """A list of contents, or a single one."""
        if isinstance(value, list):
            for at, item in enumerate(value):
                self.content(item, f"{pointer}/{at}")
        else:
            self.content(value, pointer)

    def content(self, value: Any, pointer: str, channel: Channel | None = None) -> None:
        """One content: `{"role", "parts"}`, or a bare string."""
        if not isinstance(value, dict):
            self.draft.add(value, channel or "user", pointer)
            return
        owner = channel or _CHANNELS.get(text(value.get("role")) or "user")
        parts = value.get("parts")
        if owner is None:
            self.draft.note(UNKNOWN_ROLE)
            owner = "user"
        if isinstance(parts, list):
            for at, part in enumerate(parts):
                self._part(part, f"{pointer}/parts/{at}", owner)
        elif parts is not None:
            self._part(parts, f"{pointer}/parts", owner)

    def _part(self, value: Any, pointer: str, channel: Channel) -> None:
        if not isinstance(value, dict):
            self.draft.add(value, channel, pointer)
        elif "text" in value:
            thought = value.get("thought") is True
            self.draft.add(
                value["text"],
                "assistant" if thought else channel,
                f"{pointer}/text",
                "reasoning" if thought else "text",
            )
        elif any(key in value for key in _BLOBS):
            self.draft.blobs += 1
        elif not self._tool_part(value, pointer) and not _EMPTY_PARTS.issuperset(value):
            self.draft.add_odd(value, channel, pointer)

    def _tool_part(self, part: dict[str, Any], pointer: str) -> bool:
        """Read a call, a result or executed code; false when the part is none of them."""
        for key, value in part.items():
            found, place = mapping(value), f"{pointer}/{key}"
            if key in ("functionCall", "function_call", "toolCall", "tool_call"):
                self.draft.add_json(found.get("args"), f"{place}/args", tool_name(found))
            elif key in ("functionResponse", "function_response", "toolResponse", "tool_response"):
                self._result(found, place)
            elif key in ("executableCode", "executable_code"):
                self.draft.add(found.get("code"), "assistant", f"{place}/code", "tool_call", CODE_TOOL)
            elif key in ("codeExecutionResult", "code_execution_result"):
                self.draft.add(found.get("output"), "tool", f"{place}/output", "tool_result", CODE_TOOL)
            else:
                continue
            return True
        return False

    def _result(self, result: dict[str, Any], pointer: str) -> None:
        self.draft.add_texts(result.get("response"), "tool", f"{pointer}/response", "tool_result", tool_name(result))
        self.draft.blobs += len(sequence(result.get("parts")))

    def tools(self, value: Any, pointer: str) -> None:
        """Function declarations give texts; tools that run at the provider give their names only."""
        for at, item in enumerate(sequence(value)):
            for key, tool in mapping(item).items():
                place = f"{pointer}/{at}/{key}"
                if key in ("functionDeclarations", "function_declarations"):
                    self._declarations(tool, place)
                elif key in ("mcpServers", "mcp_servers"):
                    self.draft.note(REMOTE_TOOLS)
                else:
                    self.draft.tools.append(key[:64])

    def _declarations(self, declarations: Any, pointer: str) -> None:
        for at, item in enumerate(sequence(declarations)):
            function = mapping(item)
            _, schema = pick(function, "parameters", "parametersJsonSchema", "parameters_json_schema")
            self.draft.add_tool(function.get("name"), function.get("description"), schema, f"{pointer}/{at}")


def tool_name(call: dict[str, Any]) -> str | None:
    """The name of a function, or the sort of a tool that runs at the provider."""
    return short(call.get("name")) or short(pick(call, "toolType", "tool_type")[1])
