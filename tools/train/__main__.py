"""`python -m tools.train`: train both heads, calibrate them, write the model that ships and its card.

`LLMTRACE_DATA` names the folder of the rows. The same inputs give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core.fusion import THRESHOLDS
from llmtrace_sdk.core.text import fold
from llmtrace_sdk.core.words import tokens
from llmtrace_sdk.data import model
from tools.train import calibrate, evidence, export, heads, limit, plant, recipe
from tools.train.rows import DEVELOPMENT, digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from llmtrace_sdk.core.fusion import Fusion
    from llmtrace_sdk.core.model import Channel
    from tools.train.heads import Trained
    from tools.train.rows import Row

ROOT: Final = Path(__file__).parents[2]
CORPUS: Final = Path(__file__).parent / "corpus"
DATA_MODULE: Final = ROOT / "src/llmtrace_sdk/data/model.py"
MODEL: Final = ROOT / "src/llmtrace_sdk/data/models/injection.bin"
CARD: Final = MODEL.with_suffix(".json")
RUNS: Final = 45_000
RULE_WEIGHTS: Final = {"user": 3.0, "data": 2.0}
ROUGH: Final = ((0.0, 0.5), (1.0, 0.75))
HELD_OUT: Final = 5
"""One document in so many fixes the thresholds of the data head."""


def main() -> None:
    """Train and write."""
    data = Path(os.environ["LLMTRACE_DATA"])
    own, public = recipe.own_corpus(CORPUS), recipe.public(data)
    rows = {"user": recipe.direct(own, public), "data": recipe.untrusted(own, public)}
    trained = heads.train(rows)
    benign = {"user": [row.text for row in public if row.source in DEVELOPMENT], "data": _clean_documents(own, public)}
    found = {head: evidence.of_rules(texts, _channel(head)) for head, texts in benign.items()}
    limited = _limited(trained, _calibrated(trained, benign, found))
    fitted = _calibrated(limited, benign, found)
    packed = export.packed(limited.vocabulary, fitted, RUNS)
    MODEL.parent.mkdir(exist_ok=True)
    MODEL.write_bytes(packed)
    sha = hashlib.sha256(packed).hexdigest()
    DATA_MODULE.write_text(re.sub(r'SHA256: Final = ".*"', f'SHA256: Final = "{sha}"', DATA_MODULE.read_text("utf-8")))
    CARD.write_text(json.dumps(_card(sha, len(packed), data, rows, benign), indent=1) + "\n")
    print(f"{MODEL.relative_to(ROOT)}: {len(packed):,} bytes, SHA-256 {sha}")


def _calibrated(
    trained: Trained, benign: Mapping[str, Sequence[str]], found: Mapping[str, np.ndarray]
) -> dict[str, export.Fitted]:
    """The heads with their curves. What ships is rounded and cut, so that is what is calibrated."""
    rough = {head: _fitted(trained, head, ROUGH) for head in benign}
    parsed = model.parse(export.packed(trained.vocabulary, rough, RUNS))
    return {head: _fitted(trained, head, _points(parsed, head, benign[head], found[head])) for head in benign}


def _limited(trained: Trained, fitted: Mapping[str, export.Fitted]) -> Trained:
    """The same with no word that reaches the balanced point alone."""
    words, runs = trained.vocabulary.words, trained.vocabulary.runs
    weights = {
        head: limit.of_one_word(weights, words, runs, calibrate.at(THRESHOLDS["balanced"], fitted[head].points))
        for head, weights in trained.weights.items()
    }
    return heads.Trained(trained.vocabulary, weights)


def _fitted(trained: Trained, head: str, points: tuple[tuple[float, float], ...]) -> export.Fitted:
    shape = heads.SHAPES[head]
    return export.Fitted(trained.weights[head], shape.block, shape.contrast, RULE_WEIGHTS[head], points)


def _points(parsed: Fusion, head: str, benign: Sequence[str], rules: np.ndarray) -> tuple[tuple[float, float], ...]:
    words = [parsed.model.score(tokens(fold(text).text), head).logit for text in benign]
    return calibrate.curve([logit + RULE_WEIGHTS[head] * each for logit, each in zip(words, rules, strict=True)])


def _channel(head: str) -> Channel:
    return "user" if head == "user" else "data"


def _clean_documents(own: Sequence[Row], public: Sequence[Row]) -> list[str]:
    """Documents without an attack: expanded anew, so that hardly any was trained on as it is."""
    rows = [row for row in (*own, *public) if row.channel == "data" and not row.label and plant.MARK in row.text]
    rng = Random(recipe.SEED + 2)
    clean = plant.in_documents(rng.sample(rows, len(rows) // HELD_OUT), (), (), 0, rng)
    return [row.text for row in clean] + [row.text for row in public if row.source == "bipia_ctx_train"]


def _card(
    sha: str, size: int, data: Path, rows: Mapping[str, Sequence[Row]], benign: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    return {
        "file": MODEL.name,
        "sha256": sha,
        "bytes": size,
        "kind": "naive Bayes weighted logistic regression over words and word pairs, 8 bits a weight",
        "seed": recipe.SEED,
        "heads": {head: _about(given, len(benign[head])) for head, given in rows.items()},
        "corpus_sha256": _folder_digest(CORPUS),
        "rows_sha256": {path.name: digest(path) for path in [data / "prompts_train.jsonl.gz"]},
        "never_trained_on": sorted(DEVELOPMENT),
    }


def _about(rows: Sequence[Row], benign: int) -> dict[str, Any]:
    sources: dict[str, list[int]] = {}
    for row in rows:
        sources.setdefault(row.source, [0, 0])[row.label] += 1
    return {
        "calibrated_on_benign_texts": benign,
        "texts": {source: {"benign": counts[0], "attacks": counts[1]} for source, counts in sorted(sources.items())},
    }


def _folder_digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*.toml")):
        total.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return total.hexdigest()


if __name__ == "__main__":
    main()
