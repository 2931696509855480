"""LiteLLM's proxy, from PyPI, in an environment of its own outside the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import yaml

VERSION: Final = "1.106.2"
PACKAGES: Final = (
    f"litellm[proxy]=={VERSION}",
    "opentelemetry-exporter-otlp",  # without it each call imports it anew, in vain
    "httptools",  # the quicker server, as the others have it
    "uvloop",
)
ENVIRONMENT: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks for a price list on the net
    "LITELLM_TELEMETRY": "False",
    "LITELLM_LOG": "ERROR",
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # none of the others asks for a key here
}


def environment() -> Path:
    """Where it is, or will be: beside the other programs that scripts/ keep outside the tree."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "llmtrace" / f"litellm-{VERSION}"


def install() -> None:
    """Make the environment unless it is there. Raises subprocess.CalledProcessError when that fails."""
    folder = environment()
    if (folder / ".done").exists():
        return
    print(f"installing LiteLLM {VERSION} into {folder} (600 MB)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    python = folder / "bin" / "python"
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    pip: list[str | Path] = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    subprocess.run([*pip, "--quiet", *PACKAGES], check=True)
    subprocess.run([python, "-m", "compileall", "-q", folder / "lib"], check=False)
    (folder / ".done").touch()


def command(port: int, upstream: str, folder: Path) -> list[str]:
    """How it is started: one worker, one model, no key, no database, nothing logged."""
    model = {"model": "openai/gpt-4o-mini", "api_base": f"{upstream}/v1", "api_key": "bench"}
    settings = {"model_list": [{"model_name": "gpt-4o-mini", "litellm_params": model}]}
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump({**settings, "litellm_settings": {"telemetry": False}}), "utf-8")
    program = str(environment() / "bin" / "litellm")
    return [program, "--config", str(file), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
