"""What the rules say of texts, for calibrating and judging the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from llmtrace_sdk import detectors
from llmtrace_sdk.core.fusion import INJECTION_CATEGORIES, rule_evidence
from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.core.plan import RuleBased
from llmtrace_sdk.core.scan import Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.model import Channel


def of_rules(texts: Sequence[str], channel: Channel) -> np.ndarray:
    """The evidence of the injection rules in each text, before it is weighed."""
    engine = Engine([d for d in detectors.build() if isinstance(d, RuleBased)])
    found = (engine.scan((Segment(text, channel, ""),), "input").findings for text in texts)
    return np.array([rule_evidence(f for f in each if f.category in INJECTION_CATEGORIES) for each in found])
