"""Every command of docs/relay-access.md is run as it stands there, against a relay with keys on."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llmtrace_relay.features import FEATURES
from tests.relay.access.doors import ADMIN_KEY
from tests.relay.access.locked import VENDOR

if TYPE_CHECKING:
    from tests.relay.access.locked import Locked

TEXT = (Path(__file__).parents[3] / "docs" / "relay-access.md").read_text("utf-8")
COMMANDS = [
    command
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for command in re.findall(r"^curl (?:.*\\\n)*.*$", block, re.MULTILINE)
]


def test_every_feature_has_its_row() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `([\w.]+)` \|", TEXT, re.MULTILINE))
    assert rows == {name: f"{each.group}.{each.key}" for name, each in FEATURES.items()}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: re.sub(r"\W+", "-", command)[:60])
def test_the_command_does_what_it_says(locked: Locked, command: str) -> None:
    key = locked.key("operator")
    known = {"RELAY": locked.relay.url, "ADMIN_KEY": ADMIN_KEY, "TENANT": locked.tenant, "KEY": key["key"]}
    known |= {"KEY_ID": key["id"], "OPENAI_API_KEY": VENDOR, "PATH": "/usr/bin:/bin"}
    quiet = command.replace("curl ", "curl -sS --noproxy '*' --fail-with-body ", 1)
    ended = subprocess.run(["sh", "-c", quiet], env=known, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    if "-X DELETE" not in command:
        assert isinstance(json.loads(ended.stdout), dict)


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 14
