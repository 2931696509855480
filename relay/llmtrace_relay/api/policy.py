"""The policy in force, for instrumented processes that follow it."""

from fastapi import APIRouter, Request, Response

from llmtrace_relay.api._context import Here, Operator
from llmtrace_relay.api._reply import Wire, told
from llmtrace_relay.policy import policy_of

router = APIRouter(prefix="/api/v1/policy", tags=["config"])


@router.get("", **told("Policy", "The policy in force"))
def policy(request: Request, who: Operator, here: Here) -> Response:  # noqa: ARG001 - it is the role that counts
    """What decides about calls here. With `If-None-Match` 304 as long as nothing has changed."""
    found = policy_of(here.policies.settings)
    fields = {"etag": found.etag}
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=fields)
    return Wire(found.body, headers=fields)
