"""What the fake provider reads from a request body, in any vendor's shape: text, declared tool, size."""

from __future__ import annotations

from typing import Any, Final

_MAX_DEPTH: Final = 12
_PROMPTS: Final = ("messages", "contents", "input", "prompt", "content", "texts")
_SIZED: Final = (*_PROMPTS, "system", "systemInstruction", "instructions", "inputText")
_TEXTS: Final = ("text", "content", "parts", "prompt")
_VALUES: Final[dict[str, Any]] = {
    "string": "Lisbon",
    "integer": 3,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "object": {},
}


def last_user_text(data: dict[str, Any]) -> str:
    """The text of the last user turn, or of the whole prompt where the format has no turns; else ''."""
    for key in _PROMPTS:
        value = data.get(key)
        if isinstance(value, list):
            turns = [item for item in value if _is_user(item)]
            return text_of(turns[-1:])
        if value:
            return text_of(value)
    return ""


def _is_user(item: Any) -> bool:
    return not isinstance(item, dict) or item.get("role", "user") == "user"


def text_of(value: Any, depth: int = 0) -> str:
    """All text below a content value, joined by line ends."""
    if isinstance(value, str):
        return value
    if depth > _MAX_DEPTH:
        return ""
    if isinstance(value, list):
        return "\n".join(filter(None, (text_of(item, depth + 1) for item in value)))
    if isinstance(value, dict):
        return "\n".join(filter(None, (text_of(value.get(key), depth + 1) for key in _TEXTS)))
    return ""


def size_of(data: dict[str, Any]) -> int:
    """Characters of all strings in the prompt."""
    total = 0
    waiting = [data[key] for key in _SIZED if key in data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
    return total


def declared_tool(data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and arguments for a call of the first tool that the request declares, else of a weather tool."""
    tool = _first_tool(data)
    function = tool.get("function") or tool.get("toolSpec") or tool
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return "get_weather", {"city": "Lisbon", "unit": "celsius"}
    schema = function.get("parameters") or function.get("input_schema") or function.get("parametersJsonSchema")
    schema = schema or _inner_schema(function.get("inputSchema"))
    return function["name"], _arguments(schema)


def _first_tool(data: dict[str, Any]) -> dict[str, Any]:
    config = data.get("toolConfig")
    tools = data.get("tools") or (config.get("tools") if isinstance(config, dict) else None)
    if not isinstance(tools, list) or not tools or not isinstance(tools[0], dict):
        return {}
    declared = tools[0].get("functionDeclarations")
    if isinstance(declared, list) and declared and isinstance(declared[0], dict):
        return declared[0]
    return tools[0]


def _inner_schema(schema: Any) -> Any:
    return schema.get("json", schema) if isinstance(schema, dict) else None


def _arguments(schema: Any) -> dict[str, Any]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return {}
    return {name: _value(rule) for name, rule in properties.items()}


def _value(rule: Any) -> Any:
    if not isinstance(rule, dict):
        return None
    if isinstance(rule.get("enum"), list) and rule["enum"]:
        return rule["enum"][0]
    kind = rule.get("type")
    return _VALUES.get(kind.lower()) if isinstance(kind, str) else None
