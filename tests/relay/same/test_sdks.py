"""Every SDK of the core suite through the relay: the bytes, chunks and results that it has without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sdks.rig import CORE, TARGETS, Rig
from tests.sdks.target import Ask

from .ways import check

if TYPE_CHECKING:
    from tests.sdks.target import Target

    from .ways import Ways

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# the others differ in what they are given, not in what they send and read
VARIANTS = ("-module", "-models", "-aio", "-on-httpx", "-azure-async")
SDKS = [each for each in TARGETS if set(each.needs) <= CORE and not each.name.endswith(VARIANTS)]
TEXT = "Where does the ferry to the island leave?"


@pytest.mark.parametrize("coding", ["usage=on", "usage=on,gzip"])
@pytest.mark.parametrize("target", SDKS, ids=str)
def test_an_sdk_gets_what_it_gets_without(ways: Ways, target: Target, coding: str) -> None:
    there, here = Ask(ways.provider.url, TEXT, coding), Ask(ways.url, TEXT, coding)
    with Rig(target, ways.provider) as bare, Rig(target, ways) as relayed:  # type: ignore[arg-type]
        clients = bare.client(there), relayed.client(here)
        for call in target.calls:
            expected = bare.do(call, clients[0], there)
            assert relayed.do(call, clients[1], here) == expected
            sent, got = ways.behind.answers(), ways.before.answers()
            assert sent
            for one, other in zip(sent, got, strict=True):
                check(ways.mode, one, other)
