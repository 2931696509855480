"""The tiers' settings: what is refused, where keys go, and what is still told at exit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import config, runtime, tiers
from llmtrace_sdk.errors import ConfigError

from .test_pipeline import BODY, ml_files

if TYPE_CHECKING:
    from llmtrace_sdk.fake_provider import FakeProvider


def test_off_by_default_and_unknown_keys_are_errors() -> None:
    settings = llmtrace.Settings()
    assert not settings.ml.enabled
    assert not settings.judge.enabled
    assert runtime.current()._desk is None
    for group in ("ml", "judge"):
        with pytest.raises(ConfigError, match=f"{group}.modell: unknown key .*known here: enabled"):
            llmtrace.configure(**{group: {"enabled": False, "modell": "x"}})


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(ConfigError) as caught:
        llmtrace.configure(
            ml={"enabled": True, "model_path": str(tmp_path / "m.onnx")},
            judge={"enabled": True, "model": "m", "api_key_env": "MY_KEY"},
        )
    assert [p.split(":")[0] for p in caught.value.problems] == [
        "ml.model_path",
        "ml.tokenizer_path",
        "judge.api_key_env",
    ]


@pytest.mark.parametrize(
    ("names", "group", "extra"),
    [(["onnxruntime", "tokenizers"], "ml", "ml"), (["httpx", "httpx2"], "judge", "judge")],
)
def test_missing_packages_are_named_with_their_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], group: str, extra: str
) -> None:
    settings = {"ml": ml_files(tmp_path), "judge": {"enabled": True, "model": "m", "base_url": "http://127.0.0.1:9"}}
    monkeypatch.setattr(tiers, "find_spec", lambda name: None if name in names else sys)
    with pytest.raises(ConfigError, match=rf'pip install "llmtrace-sdk\[{extra}\]"'):
        llmtrace.configure(**{group: settings[group]})


@pytest.mark.parametrize("key", ["a\nb", "schlüssel", ""])
def test_keys_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY") as caught:
        llmtrace.configure(judge={"enabled": True, "model": "m"})
    assert not key or key not in str(caught.value)


def test_a_vendors_key_goes_to_the_vendor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    for settings, expected in (
        ({}, "Bearer sesame"),
        ({"base_url": "http://127.0.0.1:9/v1"}, None),
        ({"base_url": "http://127.0.0.1:9/v1", "api_key_env": "OPENAI_API_KEY"}, "Bearer sesame"),
    ):
        made = llmtrace.configure(judge={"enabled": True, "model": "m", **settings})
        judge: Any = made._desk._advisers["judge"]  # type: ignore[union-attr]
        assert judge._client._headers.get("authorization") == expected


def test_settings_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ml_files(tmp_path)
    for name, value in {
        "ML_ENABLED": "true", "ML_MODEL_PATH": files["model_path"], "ML_LABELS": "injection, jailbreak",
        "ML_MODE": "Inline", "JUDGE_MAX_CHARS": "500",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"LLMTRACE_{name}", value)
    settings = config.load()
    assert (settings.ml.enabled, settings.ml.labels, settings.ml.mode) == (True, ("injection", "jailbreak"), "inline")
    assert settings.judge.max_chars == 500


def test_records_that_wait_are_not_lost_at_exit(provider: FakeProvider, tmp_path: Path) -> None:
    files = {**ml_files(tmp_path), "deadline_ms": 20_000}
    program = f"""
import httpx, sys
sys.path.insert(0, {str(Path.cwd())!r})
import llmtrace_sdk as llmtrace
from tests.tiers import parts
made = llmtrace.configure(telemetry={{"spans": "off"}}, ml={files!r}, enforcement={{"mode": "flag"}})
parts.with_engine(made, parts.GreyEngine())
llmtrace.on_record(lambda record: print([f.rule for f in record.findings]))
llmtrace.instrument(httpx.Client()).post({provider.url + "/v1/chat/completions"!r}, json={BODY!r})
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "['ml.onnx']", done.stderr
