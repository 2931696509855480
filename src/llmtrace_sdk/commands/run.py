"""`llmtrace run -- python app.py`: `install()` in the child before its own code runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BOOT = Path(__file__).parents[1] / "boot"


def run(command: Sequence[str]) -> int:
    """Replace this process by the command; returns 127 when it cannot be started."""
    program = sys.executable if command[0] in ("python", "python3") else command[0]
    try:
        os.execvpe(program, [program, *command[1:]], environment(os.environ))  # noqa: S606 - running a command is the point
    except OSError as error:
        print(f"llmtrace run: cannot start {command[0]}: {error.strerror}", file=sys.stderr)
        return 127


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The child's environment: Python imports `sitecustomize` from our folder at its start."""
    path = environ.get("PYTHONPATH")
    return {**environ, "PYTHONPATH": f"{BOOT}{os.pathsep}{path}" if path else str(BOOT)}
