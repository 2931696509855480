from __future__ import annotations

import dataclasses
import logging
import re
from typing import TYPE_CHECKING

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import config
from llmtrace_sdk.core.policy import CategoryRule

if TYPE_CHECKING:
    from pathlib import Path

YAML = """
enforcement:
  mode: Block
  min_severity: High
  categories:
    - {finding_type: pii_detected, action: flag, min_severity: Medium}
max_request_size_bytes: 1000
"""


def test_defaults_need_no_pydantic_and_no_file() -> None:
    settings = config.load()
    assert settings == llmtrace.Settings()
    assert (settings.enforcement.mode, settings.enforcement.on_block, settings.telemetry.capture) == (
        "log",
        "response",
        "NO_CONTENT",
    )


@pytest.mark.parametrize("name", ["llmtrace.yaml", "llmtrace.yml"])
def test_yaml_file_with_severities_in_any_case(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(YAML)
    settings = config.load(tmp_path / name)
    assert settings.enforcement.mode == "block"
    assert settings.enforcement.categories == (
        CategoryRule(finding_type="pii_detected", action="flag", min_severity="medium"),
    )
    assert settings.max_request_size_bytes == 1000


def test_toml_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[enforcement]\nmode = "flag"\n')
    assert config.load(str(tmp_path / "a.toml")).enforcement.mode == "flag"


def test_keywords_beat_environment_beats_file_beats_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text(YAML)
    monkeypatch.setenv("LLMTRACE_CONFIG", str(tmp_path / "a.yaml"))
    monkeypatch.setenv("LLMTRACE_ENFORCEMENT_MODE", "flag")
    monkeypatch.setenv("LLMTRACE_ENFORCEMENT_MIN_CONFIDENCE", "0.5")
    settings = config.load(enforcement={"mode": "log"})
    assert settings.enforcement.mode == "log"
    assert settings.enforcement.min_confidence == 0.5
    assert settings.enforcement.min_severity == "high"
    assert settings.max_response_size_bytes == 50 << 20


@pytest.mark.parametrize(
    ("name", "text", "group", "key", "value"),
    [
        ("LLMTRACE_MAX_REQUEST_SIZE_BYTES", "7", None, "max_request_size_bytes", 7),
        ("LLMTRACE_SPANS", "guard_only", "telemetry", "spans", "guard_only"),
        ("LLMTRACE_TELEMETRY_OTLP", "true", "telemetry", "otlp", True),
        ("LLMTRACE_TELEMETRY_OTLP", "http://collector:4318", "telemetry", "otlp", "http://collector:4318"),
        ("LLMTRACE_TELEMETRY_EMIT_EVENTS", "false", "telemetry", "emit_events", False),
        (
            "LLMTRACE_TELEMETRY_PROPAGATE_HOSTS",
            "a.example, b.example",
            "telemetry",
            "propagate_hosts",
            ("a.example", "b.example"),
        ),
        ("LLMTRACE_SECURITY_ANALYSIS_DETECTORS", "pii_detected", "security_analysis", "detectors", ("pii_detected",)),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY", "telemetry", "capture", "SPAN_ONLY"),
    ],
)
def test_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, group: str | None, key: str, value: object
) -> None:
    monkeypatch.setenv(name, text)
    settings = config.load()
    assert getattr(getattr(settings, group) if group else settings, key) == value


def test_an_unknown_variable_is_told_not_fatal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LLMTRACE_ENFORCEMENT_MOOD", "block")
    with caplog.at_level(logging.WARNING, "llmtrace"):
        config.load()
    assert "LLMTRACE_ENFORCEMENT_MOOD" in caplog.text


def test_every_problem_at_once_each_with_its_place() -> None:
    with pytest.raises(llmtrace.ConfigError) as caught:
        config.load({"enforcement": {"mode": "blok", "mni_severity": "high"}, "colour": 1})
    problems = sorted(caught.value.problems)
    assert len(problems) == 3
    assert problems[0].startswith("colour: unknown key (known here: enforcement, security_analysis")
    assert problems[1].startswith(
        "enforcement.mni_severity: unknown key (did you mean min_severity? known here: mode, min_severity"
    )
    assert problems[2] == (
        "enforcement.mode: 'blok' cannot be used; give one of log, flag, redact, block (did you mean block?)"
    )


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"enforcement": {"min_confidence": 1.5}}, "min_confidence 1.5 is not between 0 and 1"),
        ({"enforcement": {"block_status": 451}}, "enforcement.block_status"),
        ({"security_analysis": {"detectors": ["piii"]}}, "unknown detector 'piii' (known: "),
        ({"telemetry": {"capture": "true"}}, "telemetry.capture"),
        ({"telemetry": {"otlp": "collector:4318"}}, "telemetry.otlp: must be true or an http(s) URL"),
        ({"telemetry": {"otlp": [1]}}, "telemetry.otlp: a list cannot be used; give true or false or a text"),
        ({"enforcement": 5}, "enforcement: 5 cannot be used; give a mapping of keys to values"),
        ({"enforcement": {"categories": [{"action": "flag"}]}}, "categories[0].finding_type: is missing"),
        ({"max_request_size_bytes": 0}, "max_request_size_bytes: 0 is less than 1"),
        ({"security_analysis": {"max_analysis_text_bytes": -1}}, "max_analysis_text_bytes: -1 is less than 1"),
        ({"reload_interval_s": -1}, "reload_interval_s: -1.0 is not between 0 and 3600"),
        ({"reload_interval_s": float("nan")}, "reload_interval_s: nan is not between"),
    ],
)
def test_bad_values(settings: dict[str, object], told: str) -> None:
    with pytest.raises(llmtrace.ConfigError, match=re.escape(told)):
        config.load(settings)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.yaml", "a: [", "a.yaml"),
        ("a.toml", "a = ", "a.toml"),
        ("a.json", "{}", "must end in .yaml, .yml or .toml"),
        ("a.yaml", "- 1", "must be a mapping"),
        ("a.yaml", "enforcement:\n  mode: log\n  mode: block\n", "line 3, column 3: a key is given twice"),
        ("a.yaml", "a: !!python/object:os.system x", "line 1"),
        ("a.yaml", "[" * 5_000, "a.yaml"),
        ("a.toml", "a = 1\na = 2\n", "a.toml"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(llmtrace.ConfigError, match=re.escape(told)):
        config.load(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(llmtrace.ConfigError, match=r"cannot read .*nothing\.yaml"):
        config.load(tmp_path / "nothing.yaml")


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# nothing yet\n")
    assert config.load(tmp_path / "a.yaml") == llmtrace.Settings()


def test_shorthands() -> None:
    settings = config.load(otlp="http://localhost:4318", service_name="shop")
    assert (settings.telemetry.otlp, settings.telemetry.service_name) == ("http://localhost:4318", "shop")


def test_ready_settings_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(llmtrace.ConfigError, match="max_request_size_bytes: 0 is less than 1"):
        config.load(llmtrace.Settings(max_request_size_bytes=0))


def test_ready_settings_are_taken_as_they_are() -> None:
    settings = dataclasses.replace(llmtrace.Settings(), max_request_size_bytes=5)
    assert config.load(settings) is settings
    with pytest.raises(llmtrace.ConfigError, match="replace"):
        config.load(settings, otlp=True)


def test_schema_knows_every_key() -> None:
    schema = config.schema()
    assert set(schema["properties"]) == {f.name for f in dataclasses.fields(llmtrace.Settings)}
    assert schema["additionalProperties"] is False


def test_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text(YAML)
    monkeypatch.setenv("LLMTRACE_ENFORCEMENT_MODE", "flag")
    sources = config.sources(tmp_path / "a.yaml")
    assert sources["enforcement", "mode"] == "environment"
    assert sources["enforcement", "min_severity"] == "file"
    assert sources[("max_request_size_bytes",)] == "file"
