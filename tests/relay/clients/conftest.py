from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .node import Node, require_clients

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    with Node(require_clients()) as running:
        yield running
