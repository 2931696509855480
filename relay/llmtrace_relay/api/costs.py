"""What is spent of the budgets."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from msgspec import structs
from pydantic import Field

from llmtrace_relay import wire
from llmtrace_relay.api._answers import SpendSnapshot, SpendWindow
from llmtrace_relay.api._context import Context, Here, Viewer, tenant_of
from llmtrace_relay.api._errors import ApiError
from llmtrace_relay.api._params import OfTenant, Text
from llmtrace_relay.api._reply import Wire, told
from llmtrace_sdk import config, sharing
from llmtrace_sdk.core.admission import MICRO, Ask, Load, Meaning, claims_of
from llmtrace_sdk.core.claims import Budget
from llmtrace_sdk.core.fingerprint import Names
from llmtrace_sdk.core.model import Labels

router = APIRouter(prefix="/api/v1/costs", tags=["costs"])

NO_AGENT = "_default"
_USD = ("current_spend_usd", "hard_limit_usd", "soft_limit_usd", "utilization_pct")
_TOKENS = ("current_tokens", "hard_limit_tokens", "soft_limit_tokens", "utilization_tokens_pct")


class Spender(OfTenant):
    """Who spends. The budgets of the tenant are always told, the others where they are for whom is given."""

    agent_id: Text | None = Field(None, description="Also the budgets of this agent.")
    model: Text | None = Field(None, description="Also the budgets of this model.")
    user: Text | None = Field(None, description="Also the budgets of this user.")
    session: Text | None = Field(None, description="Also the budgets of this session.")


@router.get("/current", **told("SpendSnapshot", "What is spent and reserved in the periods under way"))
def current(ask: Annotated[Spender, Query()], who: Viewer, here: Here) -> Wire:
    """What is spent of the budgets in the periods under way; calls under way count with what they reserved."""
    settings = here.policies.settings
    if not settings.cost_caps.enabled:
        raise ApiError(404, "Cost caps are not enabled")
    tenant = tenant_of(who, ask.tenant_id)
    if tenant is None:
        raise ApiError(400, "tenant_id: is missing; budgets are those of a tenant")
    now_s = here.now_us() / 1_000_000
    labels = Labels(tenant=tenant, agent=ask.agent_id, user=ask.user, session=ask.session)
    names = Names(config.state_secret(settings))
    rates, caps = settings.rate_limiting, settings.cost_caps
    budgets = claims_of(rates, caps, labels, ask.model, Load(0, 0, 0), "", now_s, rated=False, names=names)
    return Wire(wire.encoded(SpendSnapshot(tenant, ask.agent_id or NO_AGENT, _windows(budgets, here, now_s))))


def _windows(asked: Ask, here: Context, now_s: float) -> list[SpendWindow]:
    state = here.policies.settings.state
    budgets = [claim for claim in asked.claims.claims if isinstance(claim, Budget)]
    spent = sharing.state_of(state.url, state.timeout_ms / 1000).spent(budgets) if budgets else ()
    rows: list[SpendWindow] = []
    for budget, meaning, amount in zip(budgets, asked.meanings, spent, strict=True):
        row = _row(budget, meaning, amount, now_s)
        if rows and _of_one_cap(rows[-1], row):
            rows[-1] = structs.replace(rows[-1], **{name: getattr(row, name) for name in _TOKENS})
        else:
            rows.append(row)
    return rows


def _row(budget: Budget, meaning: Meaning, amount: int, now_s: float) -> SpendWindow:
    names, unit = (_USD, MICRO) if meaning.unit == "usd" else (_TOKENS, 1)
    values = (amount, meaning.limit, meaning.soft)
    amounts = [None if each is None else each / unit if unit > 1 else int(each) for each in values]
    told: dict[str, Any] = dict(zip(names, (*amounts, _percent(amount, meaning.limit)), strict=True))
    resets = max(budget.start + budget.seconds - int(now_s), 0)
    return SpendWindow(window=meaning.window, scope=meaning.scope, resets_in_secs=resets, **told)


def _of_one_cap(before: SpendWindow, row: SpendWindow) -> bool:
    """Whether the first has the dollars of a cap and the other its tokens: they come one after the other."""
    same = (before.scope, before.window) == (row.scope, row.window)
    return same and before.current_tokens is None and row.current_spend_usd is None


def _percent(spent: int, limit: float | None) -> float | None:
    if limit is None:
        return None
    return round(100 * spent / limit, 2) if limit else 100.0
