"""The shape of the house: import directions, sizes, forbidden things. Walks the syntax trees of the sources."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "llmtrace_sdk"
FILES = sorted(SOURCE.rglob("*.py"))
ALL_FILES = sorted(
    p for folder in ("src", "relay", "tests", "benchmarks", "examples") for p in (ROOT / folder).rglob("*.py")
)

# What a module may import of this package: the longest matching prefix counts. Nothing points back.
PLUGINS = {"core", "typing", "errors", "data"}
ALLOWED: dict[str, set[str]] = {
    "core.model": set(),
    "core": {"core", "typing", "errors"},
    "errors": {"core.model"},
    "typing": {"core.model", "core.claims"},
    "data": set(),
    "data.model": {"core"},
    "detectors": {*PLUGINS, "detectors"},
    "providers": {*PLUGINS, "providers"},
    "actions": {*PLUGINS, "actions", "families", "worker"},
    "state": {*PLUGINS, "state"},
    "telemetry": {*PLUGINS, "telemetry"},
    "labels": {"core"},
    "families": {"typing"},
    "ids": set(),
    "pending": {"core"},
    "worker": set(),
    "supervision": {"core", "typing", "errors"},
    "vaults": {"core"},
    "replies": {"core"},
    "faults": set(),
    "aftermath": {*PLUGINS, "actions", "config"},
    "pricing": {*PLUGINS, "pricing"},
    "sharing": {"core", "typing", "errors", "state"},
    "wiring": {
        *PLUGINS,
        "pricing",
        "detectors",
        "providers",
        "config",
        "ids",
        "faults",
        "supervision",
        "vaults",
        "aftermath",
        "introduction",
    },
    "coverage": {*PLUGINS, "detectors", "providers"},
    "bodies": {"core", "errors"},
    "tiers": {*PLUGINS, "tiers", "families", "worker"},
    "config": {*PLUGINS, "detectors", "providers", "telemetry", "config", "actions"},
    "origin": {"errors", "config"},
    "attending": {"config", "faults", "origin", "reload", "following", "belongings"},
    "introduction": {"core", "typing"},
    "reload": {*PLUGINS, "config", "origin"},
    "runtime": {*PLUGINS, "detectors", "providers", "telemetry", "config", "ids", "labels", "worker", "tiers"}
    | {
        "supervision",
        "vaults",
        "replies",
        "attending",
        "faults",
        "wiring",
        "belongings",
        "origin",
        "aftermath",
    },
    "belongings": {*PLUGINS, "config", "faults", "policy_sources", "sharing", "state", "aftermath", "tiers"},
    "policy_sources": {"typing", "errors", "origin"},
    "following": {"typing", "errors", "config", "faults", "origin", "policy_sources", "sharing"},
    "transport": {*PLUGINS, "bodies", "families", "pending", "runtime", "telemetry"},
    "resolvers": {"families", "resolvers"},
    "blocking": {*PLUGINS, "runtime"},
    "scanning": {*PLUGINS, "runtime"},
    "fake_provider": {"fake_provider"},
}
ANYTHING = {"", "instrumentation", "cli", "commands", "boot", "testing"}

CORE_MAY_IMPORT = set(
    """
    __future__ typing collections dataclasses enum functools importlib json re zlib struct hmac hashlib
    itertools operator math threading types bisect string unicodedata base64 binascii html codecs msgspec
    re2 ahocorasick_rs
    """.split()
)


def name_of(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def rule_of(module: str) -> set[str] | None:
    parts = module.split(".")
    for size in range(len(parts), 0, -1):
        prefix = ".".join(parts[:size])
        if prefix in ALLOWED:
            return ALLOWED[prefix]
    assert parts[0] in ANYTHING, f"{module} has no import rule; give it one"
    return None


def imports(file: Path) -> set[str]:
    package = name_of(file).split(".") if file.name == "__init__.py" else name_of(file).split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = [p for p in package if p]
                base = ".".join(["llmtrace_sdk", *here[: len(here) - node.level + 1], *([base] if base else [])])
            found.update(
                {base, *(f"{base}.{alias.name}" for alias in node.names)} if base == "llmtrace_sdk" else {base}
            )
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_imports_point_one_way(file: Path) -> None:
    module = name_of(file)
    allowed = rule_of(module) if module else None
    if allowed is None:
        return
    modules = {name_of(f) for f in FILES}
    ours = {
        name.removeprefix("llmtrace_sdk").lstrip(".") for name in imports(file) if name.split(".")[0] == "llmtrace_sdk"
    }
    wrong = {
        name
        for name in ours
        if name in modules and name and not any(name == a or name.startswith(f"{a}.") for a in allowed)
    }
    assert not wrong, f"{module} may import {sorted(allowed)}, not {sorted(wrong)}"


@pytest.mark.parametrize("file", [f for f in FILES if f.is_relative_to(SOURCE / "core")], ids=lambda f: f.name)
def test_core_has_no_io(file: Path) -> None:
    roots = {name.split(".")[0] for name in imports(file)} - {"llmtrace_sdk", ""}
    assert roots <= CORE_MAY_IMPORT
    tree = ast.parse(file.read_text("utf-8"))
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor)]


def test_detectors_do_not_import_each_other() -> None:
    for file in (SOURCE / "detectors").glob("[!_]*.py"):
        others = [n for n in imports(file) if n.startswith("llmtrace_sdk.detectors.") and "._" not in n]
        assert not others, f"{file.name} imports {others}"


def test_only_config_reads_the_environment() -> None:
    readers = {name_of(f) for f in FILES if re.search(r"\bos\.(environ|getenv)\b", f.read_text("utf-8"))}
    assert readers <= {"config", "commands.run"}


def test_only_telemetry_spells_attribute_names() -> None:
    spellers = {name_of(f).split(".")[0] for f in FILES if re.search(r"[^\"'][\"']gen_ai\.[a-z]", f.read_text("utf-8"))}
    assert spellers <= {"telemetry"}


@pytest.mark.parametrize("file", ALL_FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_sizes(file: Path) -> None:
    text = file.read_text("utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 50, f"{node.name} has {length} lines"


def test_the_public_names_are_few_and_all_there() -> None:
    import llmtrace_sdk

    assert len(llmtrace_sdk.__all__) <= 20
    assert sorted(llmtrace_sdk._HOMES) == sorted(llmtrace_sdk.__all__)
    assert all(getattr(llmtrace_sdk, name) is not None for name in llmtrace_sdk.__all__)
