"""docs/relay.md is true, as far as that can be told by a program."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import Counter

from llmtrace_relay import metric_table
from llmtrace_relay.metrics import Metrics
from llmtrace_sdk import cli, config
from llmtrace_sdk.config import environment, keys
from llmtrace_sdk.config.relay import Upstream
from llmtrace_sdk.config.settings import Settings

DOCS = Path(__file__).parents[3] / "docs" / "relay.md"


def manual() -> str:
    return DOCS.read_text("utf-8")


def test_it_has_every_key_of_the_relay_with_its_default() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", manual(), re.DOTALL)
    told = yaml.safe_load(blocks[0])
    loaded = config.read(told).settings
    assert loaded == Settings()
    of_the_relay = {f.partition(".")[0] for f in _relay_keys()}
    for key in keys.leaves():
        if key.path[0] not in of_the_relay:
            continue
        tree: Any = told
        for part in key.path:
            assert part in tree, f"{key.name} is missing in docs/relay.md"
            tree = tree[part]
    for field in fields(Upstream):
        assert f"| `{field.name}` |" in manual()


def _relay_keys() -> set[str]:
    from llmtrace_sdk.config import settings

    return {*settings._OF_THE_RELAY.split(), "max_request_size_bytes"}


def test_its_upstreams_load() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", manual(), re.DOTALL)
    assert len(config.read(yaml.safe_load(blocks[1])).settings.upstreams) == 4


def test_it_has_every_metric_and_no_other() -> None:
    families = list(Metrics()._registry.collect())
    names = {*metric_table.COUNTED, *metric_table.WATCHED}
    names |= {family.name if family.type != "counter" else f"{family.name}_total" for family in families}
    rows = [line for line in manual().splitlines() if line.startswith(("| `llmtrace_", "| `process_"))]
    told = {name for row in rows for name in re.findall(r"`((?:llmtrace|process)_\w+)`", row.split("|")[1])}
    assert told == names


def test_its_metrics_have_the_labels_that_it_says() -> None:
    metrics = Metrics()
    made = {family.name for family in metrics._registry.collect()}
    by_name = {name: row.labels for name, row in {**metric_table.COUNTED, **metric_table.WATCHED}.items()}
    for instrument in vars(metrics._made).values():
        suffix = "_total" if isinstance(instrument, Counter) else ""
        by_name[f"{instrument._name}{suffix}"] = instrument._labelnames
    assert made
    for line in manual().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        for name in re.findall(r"`(llmtrace_\w+)`", cells[1]) if line.startswith("| `llmtrace_") else ():
            assert tuple(filter(None, cells[2].split(", "))) == tuple(by_name[name]), name


def test_it_names_only_what_there_is() -> None:
    text = manual()
    variables = set(re.findall(r"\bLLMTRACE_[A-Z_]+\b", text))
    assert variables <= environment.names().keys() | environment.NOT_SETTINGS
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (DOCS.parent / link).exists(), link
    options = re.findall(r"`(--[a-z]+)[ `]", text.partition("## Configuration")[0])
    assert len(options) == 5
    for option in options:
        cli._parser().parse_args(["relay", option, "1"])
    known = {key.name for key in keys.everything()} | {key.path[0] for key in keys.leaves()}
    dotted = set(re.findall(r"`([a-z_]+\.[a-z_]+)(?::[^`]*)?`", text))
    assert dotted - known <= {"error.type", "llmtrace.db"}
