"""Personal data on marked sentences, and secrets: made-up tokens of every format, prose and code without any."""

from __future__ import annotations

import sysconfig
from importlib import import_module
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.core.scan import Engine
from llmtrace_sdk.detectors import secret_leakage
from tools.evaluate.report import Target
from tools.train.rows import DEVELOPMENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.evaluate.data import Data
    from tools.evaluate.report import Report

PII: Final = {
    "CREDIT_CARD": (1.0, 0.95),
    "EMAIL_ADDRESS": (0.99, 0.99),
    "IP_ADDRESS": (0.99, 0.99),
    "US_SSN": (0.99, 0.99),
    "IBAN_CODE": (0.99, 0.99),
    "PHONE_NUMBER": (0.90, 0.60),
}
"""By kind of span: the least precision and recall."""

TOKENS: Final = 100
"""How many tokens of each kind are made."""

KINDS: Final = 40
LINES: Final = 40
PIECES: Final = 4000
SEED: Final = 7
PROSE: Final = DEVELOPMENT | {"t0", "gpteacher_role", "gsm8k"}
SENTENCES: Final = ("{}={}", "{}: {}", '"{}": "{}"', "{} = '{}'", "the {} is {}.", "{} => `{}`")


def personal(report: Report, path: Path) -> None:
    """Precision and recall of the detector of personal data."""
    report.section(
        "personal data", "Personal data on synthetic sentences", "a finding of the same kind overlaps the span"
    )
    try:
        from tools.evaluate import pii
    except ImportError:
        report.note("not measured: tools/evaluate/pii.py is missing")
        return
    measured = pii.measure(path)
    report.table("kinds", ("kind", "spans", "precision", "recall"), [(k, n, p, r) for k, (p, r, n) in measured.items()])
    for kind, (precision, recall) in PII.items():
        report.check(f"{kind}: precision", measured[kind][0], Target(precision))
        report.check(f"{kind}: recall", measured[kind][1], Target(recall))


def secrets(report: Report, data: Data) -> None:
    """Recall on made-up tokens of each kind, false alarms on prose and code."""
    report.section("secrets", "Secrets", f"{TOKENS} made-up tokens of each kind, in turn in other surroundings")
    engine = Engine([secret_leakage.build()])
    try:
        made: Any = import_module("tests.detectors.test_secrets_formats")
        recalls = _recalls(engine, made)
    except (ImportError, AttributeError) as error:
        report.note(f"recall not measured: the tests' generators are missing ({error})")
    else:
        lowest = sorted(recalls.items(), key=lambda item: item[1])[:5]
        report.table("lowest recalls", ("kind", "recall"), lowest)
        report.check("lowest recall of any kind", lowest[0][1], Target(0.99))
        report.check("kinds", len(recalls), Target(KINDS))
    prose = [row.text for row in data.train if row.source in PROSE and not row.label]
    code = list(_code())
    report.check(f"false alarms on prose ({len(prose):,} texts)", _alarms(engine, prose), Target(0.001, at_most=True))
    about = f"false alarms on code ({len(code):,} pieces of Python's library)"
    report.check(about, _alarms(engine, code), Target(0.005, at_most=True))


def _recalls(engine: Engine, made: Any) -> dict[str, float]:
    recalls: dict[str, float] = {}
    for name, make in made.PREFIXED.items():
        around = [text.replace("{}", made.IN_FRONT.get(name, "") + "{}") for text in made.AROUND]
        texts = [around[seed % len(around)].format(make(made.Maker(seed))) for seed in range(TOKENS)]
        recalls[name] = _recall(engine, name, texts)
    for name, (names, make) in made.NAMED.items():
        forms = [(form, called) for form in SENTENCES for called in names]
        texts = []
        for seed in range(TOKENS):
            form, called = forms[seed % len(forms)]
            texts.append(form.format(called, make(made.Maker(seed))))
        recalls[name] = _recall(engine, name, texts)
    for name, (around, make) in made.SHAPED.items():
        recalls[name] = _recall(engine, name, [around.format(make(made.Maker(seed))) for seed in range(TOKENS)])
    return recalls


def _recall(engine: Engine, name: str, texts: Sequence[str]) -> float:
    return sum(f"secret.{name}" in _rules(engine, text) for text in texts) / len(texts)


def _alarms(engine: Engine, texts: Sequence[str]) -> float:
    return sum(bool(_rules(engine, text)) for text in texts) / len(texts)


def _rules(engine: Engine, text: str) -> set[str]:
    return {finding.rule for finding in engine.scan((Segment(text, "user", ""),), "input").findings}


def _code() -> Iterator[str]:
    """Pieces of the modules that come with Python, without its tests (which have keys in them)."""
    pieces = []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        if not {"test", "tests", "site-packages", "idle_test"} & set(path.parts):
            lines = path.read_text("utf-8", "replace").splitlines(keepends=True)
            pieces += ["".join(lines[at : at + LINES]) for at in range(0, len(lines), LINES)]
    yield from Random(SEED).sample(pieces, min(PIECES, len(pieces)))
