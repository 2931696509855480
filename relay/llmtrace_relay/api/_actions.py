"""What an agent did, as it is reported."""

import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from llmtrace_relay.api._context import Context
from llmtrace_relay.api._params import Plain
from llmtrace_relay.model import ActionType, AgentAction

ARGUMENTS_LIMIT = 64 << 10
RESULT_LIMIT = 4096
MOST_METADATA = 64
LONGEST = (1 << 31) - 1

_Name = Annotated[str, Field(min_length=1, max_length=256), Plain]
_Value = Annotated[str, Field(max_length=1024), Plain]


class NewAction(BaseModel):
    """Something an agent did. A result is kept up to its 4096th byte."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action_type: ActionType
    name: _Name
    arguments: Annotated[str, Field(max_length=ARGUMENTS_LIMIT), Plain] | None = None
    result: Annotated[str, Plain] | None = None
    duration_ms: Annotated[int, Field(ge=0, le=LONGEST)] | None = None
    success: bool = True
    exit_code: Annotated[int, Field(ge=-LONGEST, le=LONGEST)] | None = None
    http_method: Annotated[str, Field(min_length=1, max_length=32), Plain] | None = None
    http_status: Annotated[int, Field(ge=100, le=599)] | None = None
    file_operation: Literal["read", "write", "delete"] | None = None
    metadata: Annotated[dict[_Name, _Value], Field(max_length=MOST_METADATA)] = Field(default_factory=dict)

    def made(self, here: Context) -> AgentAction:
        """The action as it is kept: with what the settings let be kept of its texts."""
        kept = self.model_dump(exclude={"arguments", "result"})
        result = _kept(self.result, here)
        return AgentAction(
            id=str(uuid.uuid4()),
            timestamp=here.now_us(),
            arguments=_kept(self.arguments, here),
            result=result and result.encode()[:RESULT_LIMIT].decode(errors="ignore"),
            **kept,
        )


def _kept(text: str | None, here: Context) -> str | None:
    capture = here.policies.settings.storage.capture
    if text is None or capture == "none":
        return None
    return text if capture == "full" else here.redact(text)
