"""Where values come from: all sources at once, the environment by type, and nothing secret in what is said."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmtrace_sdk as llmtrace
from llmtrace_sdk import cli, config
from llmtrace_sdk.config import environment, files, keys
from llmtrace_sdk.config import settings as all_settings
from llmtrace_sdk.config.masking import in_sentence, masked
from llmtrace_sdk.core.policy import CategoryRule, EnforcementOptions

if TYPE_CHECKING:
    from pathlib import Path

NAMES = "enforcement categories overrides mode ml judge backend telemetry otlp storage x".split()
MAPPINGS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
).filter(lambda made: isinstance(made, dict))
SECRET = "sk-abcdefghijklmnopqrstuvwx"


def problems(*args: Any, **more: Any) -> tuple[str, ...]:
    with pytest.raises(llmtrace.ConfigError) as caught:
        config.load(*args, **more)
    return caught.value.problems


def test_problems_of_all_sources_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("enforcement: {mode: blok, min_severity: hgih}\nml: {threads: 0, enabled: true}\n")
    monkeypatch.setenv("LLMTRACE_ENFORCEMENT_MODE", "flog")
    monkeypatch.setenv("LLMTRACE_ML_THREADS", "many")
    monkeypatch.setenv("LLMTRACE_ENFORCEMENT_MIN_CONFIDENCE", "2")
    found = problems(tmp_path / "a.yaml", judge={"max_chars": "x"})
    starts = (
        "enforcement.mode: 'blok' cannot be used; give one of log,",
        "enforcement.min_severity: 'hgih' cannot be used; give one of info, low, medium, high, critical (did you",
        "enforcement.mode (LLMTRACE_ENFORCEMENT_MODE): 'flog' cannot be used; give one of log,",
        "ml.threads (LLMTRACE_ML_THREADS): 'many' cannot be used; give a whole number",
        "judge.max_chars: 'x' cannot be used; give a whole number",
        "enforcement: min_confidence 2.0 is not between 0 and 1 (LLMTRACE_ENFORCEMENT_MIN_CONFIDENCE)",
        "ml.model_path: give the path of an ONNX file",
    )
    for start in starts:
        assert [p for p in found if p.startswith(start)], (start, found)


def test_a_file_that_is_not_there_and_a_bad_variable_are_told_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMTRACE_TELEMETRY_SPANS", "some")
    first, second = problems(tmp_path / "a.yaml")
    assert "there is no such file" in first
    assert second.startswith("telemetry.spans (LLMTRACE_TELEMETRY_SPANS): 'some' cannot be used")


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("ENFORCEMENT_BLOCK_STATUS", "403", ("enforcement", "block_status"), 403),
        ("ENFORCEMENT_FAIL_MODE", "CLOSED", ("enforcement", "fail_mode"), "closed"),
        ("ENFORCEMENT_MIN_CONFIDENCE", " 0.5 ", ("enforcement", "min_confidence"), 0.5),
        ("ENFORCEMENT_SHADOW", "Yes", ("enforcement", "shadow"), True),
        ("TELEMETRY_EMIT_EVENTS", "off", ("telemetry", "emit_events"), False),
        ("TELEMETRY_CAPTURE", "span_only", ("telemetry", "capture"), "SPAN_ONLY"),
        ("TELEMETRY_OTLP", "0", ("telemetry", "otlp"), False),
        ("TELEMETRY_PROPAGATE_HOSTS", '["a", "b"]', ("telemetry", "propagate_hosts"), ("a", "b")),
        ("SECURITY_ANALYSIS_DETECTORS", "[]", ("security_analysis", "detectors"), ()),
        ("SECURITY_ANALYSIS_DETECTORS", "", ("security_analysis", "detectors"), None),
        ("ML_DEADLINE_MS", "null", ("ml", "deadline_ms"), None),
        ("RELOAD_INTERVAL_S", "0", ("reload_interval_s",), 0.0),
        (
            "ENFORCEMENT_CATEGORIES",
            '[{"finding_type": "pii_detected", "action": "Flag"}]',
            ("enforcement", "categories"),
            (CategoryRule(finding_type="pii_detected", action="flag"),),
        ),
    ],
)
def test_texts_of_the_environment_by_type(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, path: tuple[str, ...], value: object
) -> None:
    monkeypatch.setenv(f"LLMTRACE_{name}", text)
    found: Any = config.load()
    for part in path:
        found = getattr(found, part)
    assert found == value
    assert type(found) is type(value)


def test_every_key_has_a_variable() -> None:
    assert {key.variable for key in keys.leaves()} <= set(environment.names())
    assert all(key.variable for key in keys.leaves())


def test_the_long_name_wins_over_the_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMTRACE_SPANS", "off")
    assert config.load().telemetry.spans == "off"
    monkeypatch.setenv("LLMTRACE_TELEMETRY_SPANS", "guard_only")
    assert config.load().telemetry.spans == "guard_only"


def test_a_variable_that_nobody_knows_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMTRACE_ENFORCEMENT_MOD", "block")
    (told,) = config.read().strange
    assert told == "LLMTRACE_ENFORCEMENT_MOD: not a setting of llmtrace-sdk; did you mean LLMTRACE_ENFORCEMENT_MODE?"


def test_a_bare_off_in_yaml_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("telemetry: {spans: off, semconv_guardrail: off, emit_events: off}\n")
    found = config.load(tmp_path / "a.yaml").telemetry
    assert (found.spans, found.semconv_guardrail, found.emit_events) == ("off", "off", False)


def test_ready_groups_and_mappings_of_groups_are_merged() -> None:
    group = EnforcementOptions(mode="flag", min_severity="low")
    assert config.load(enforcement=group).enforcement == group
    merged = config.load({"enforcement": group}, **{"enforcement.mode": "block"}).enforcement
    assert (merged.mode, merged.min_severity) == ("block", "low")


def test_the_hash_is_that_of_what_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.toml").write_text("[enforcement]\nmin_confidence = 1\nmode = 'Block'\n")
    (tmp_path / "a.yaml").write_text("enforcement: {mode: block, min_confidence: 1.0}\ntelemetry: {spans: off}\n")
    made = {config.load(tmp_path / name).policy_hash for name in ("a.toml", "a.yaml")}
    made.add(config.load(reload_interval_s=0, enforcement={"mode": "block", "min_confidence": 1.0}).policy_hash)
    made.add(llmtrace.Settings(enforcement=EnforcementOptions(mode="block", min_confidence=1)).policy_hash)
    monkeypatch.setenv("LLMTRACE_ENFORCEMENT_MODE", "block")
    monkeypatch.setenv("LLMTRACE_ENFORCEMENT_MIN_CONFIDENCE", "1")
    made.add(config.load().policy_hash)
    assert len(made) == 1
    (only,) = made
    assert len(only) == 16
    assert int(only, 16) >= 0


def test_every_deciding_key_changes_the_hash() -> None:
    start = llmtrace.Settings()
    silent = {"telemetry", "reload_interval_s", "relay", "relay_key_env", *all_settings._OF_THE_RELAY.split()}
    for field in dataclasses.fields(start):
        group = getattr(start, field.name)
        changed = (
            [dataclasses.replace(group, **{inner.name: "changed"}) for inner in dataclasses.fields(group)]
            if dataclasses.is_dataclass(group)
            else [7]
        )
        for value in changed:
            same = dataclasses.replace(start, **{field.name: value}).policy_hash == start.policy_hash
            assert same == (field.name in silent)


def test_the_order_of_rules_matters_to_the_hash() -> None:
    rules = [{"finding_type": name, "action": "flag"} for name in ("a", "b")]
    one, two = (config.load(enforcement={"categories": c}).policy_hash for c in (rules, rules[::-1]))
    assert one != two


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("api_key", "hunter2", "***"),
        ("auth_token", "hunter2", "***"),
        ("password", "hunter2", "***"),
        ("api_key_env", "OPENAI_API_KEY", "OPENAI_API_KEY"),
        ("api_key_env", SECRET, "***"),
        ("tokenizer_path", "/models/tokenizer.json", "/models/tokenizer.json"),
        ("max_tokens", 5, 5),
        ("otlp", "http://user:pa@ss@host:4318/x", "http://***@host:4318/x"),
        ("otlp", "http://host/?api=hunter2&b=2#x", "http://host/?api=***&b=***#x"),
        ("model", SECRET, "[REDACTED:credential]"),
        ("model", "lone \ud800", "lone ?"),
        ("anything", {"url": "x://u@h", "keys": ["a"]}, {"url": "x://***@h", "keys": ["***"]}),
    ],
)
def test_what_may_be_shown(key: str, value: object, shown: object) -> None:
    assert masked(key, value) == shown


def test_secrets_in_wrong_places_are_not_in_the_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text(f"enforcement: {{mode: {SECRET}}}\ntelemetry: {{otlp: ['{SECRET}']}}\n")
    monkeypatch.setenv("LLMTRACE_TELEMETRY_SPANS", SECRET)
    monkeypatch.setenv("LLMTRACE_SECURITY_ANALYSIS_DETECTORS", SECRET)
    assert SECRET not in " ".join(problems(tmp_path / "a.yaml"))
    (tmp_path / "a.yaml").write_text(f"a: *{SECRET}\n")
    assert SECRET not in " ".join(problems(tmp_path / "a.yaml"))


@pytest.mark.parametrize("value", ["x" * 1_000, {"a": 1}, ["a"] * 1_000, None, 1.5, "it's", 'a"b', b"x", object()])
def test_sentences_are_short(value: object) -> None:
    assert len(in_sentence("k", value)) < 80


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet="-:{}[]&*!|>'\"#%@ \nab1=.", max_size=200).map(str.encode))
@pytest.mark.parametrize("suffix", ["yaml", "toml"])
def test_any_bytes_are_a_mapping_or_an_error_that_quotes_nothing(
    tmp_path_factory: Any, suffix: str, data: bytes
) -> None:
    from pathlib import Path

    try:
        assert isinstance(files.parse(Path(f"a.{suffix}"), data), dict)
    except llmtrace.ConfigError as error:
        told = str(error)
    else:
        told = ""
    assert len(told) < 300


@settings(max_examples=60, deadline=None)
@given(MAPPINGS)
def test_any_mapping_gives_settings_or_a_config_error(tree: Any) -> None:
    with contextlib.suppress(llmtrace.ConfigError):
        assert isinstance(config.load(tree), llmtrace.Settings)


def test_show_has_every_key_with_its_source_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text("telemetry: {otlp: 'http://u:hunter2@host:1'}\nzone_detection: {enabled: true}\n")
    monkeypatch.setenv("LLMTRACE_ENFORCEMENT_MODE", "block")
    assert cli.main(["config", "show", "--file", str(tmp_path / "a.yaml")]) == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert 'enforcement.mode = "block"  (environment)' in lines
    assert 'telemetry.otlp = "http://***@host:1"  (file)' in lines
    assert "ml.threads = 1  (default)" in lines
    assert [key.name for key in keys.leaves()] == [line.split(" = ")[0] for line in lines if " = " in line]
    assert "notice: zone_detection: not in force yet" in shown
    assert "hunter2" not in shown


def test_validate_tells_the_policy_and_all_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("enforcement: {mode: block}\n")
    assert cli.main(["config", "validate", "--file", str(file)]) == 0
    expected = config.load(file).policy_hash
    assert capsys.readouterr().out.splitlines() == ["configuration is valid", f"policy {expected}"]
    monkeypatch.setenv("LLMTRACE_CONFIG", str(file))
    file.write_text("enforcement: {mode: 1}\ncolour: red\n")
    assert cli.main(["config", "validate"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_the_schema_describes_every_key_and_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    for key in keys.leaves():
        place = schema
        for part in key.path:
            place = schema["$defs"][place["$ref"].rsplit("/", 1)[1]] if "$ref" in place else place
            place = place["properties"][part]
        assert place["description"] == key.description
        if key.default not in ((), {}):
            assert place["default"] == json.loads(json.dumps(key.default)), key.name
