"""docs/configuration.md is what the settings say."""

from __future__ import annotations

from llmtrace_sdk.config import keys
from tools import config_docs


def test_it_is_up_to_date() -> None:
    assert config_docs.FILE.read_text("utf-8") == config_docs.text(), (
        "docs/configuration.md is out of date; run: .venv/bin/python -m tools.config_docs"
    )


def test_it_has_every_key() -> None:
    text = config_docs.text()
    for key in keys.leaves():
        assert f"`{key.path[-1]}` |" in text or f".{key.path[-1]}` |" in text
    assert "<!-- keys" not in text
