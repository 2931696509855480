"""The classifier with real onnxruntime and real tokenizers, over a model that is made here."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from llmtrace_sdk.tiers.adviser import NoOpinion
from llmtrace_sdk.tiers.labels import attack_indices
from llmtrace_sdk.tiers.onnx import OnnxClassifier

from . import parts

if TYPE_CHECKING:
    from pathlib import Path

FILLER = "the ferry leaves the pier at nine and comes back before sunset "
LONG = FILLER * 3


def classifier(folder: Path, model: dict[str, Any] | None = None, **options: Any) -> OnnxClassifier:
    return OnnxClassifier(parts.model(folder, **(model or {})), parts.tokenizer(folder), **options)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> OnnxClassifier:
    return classifier(tmp_path_factory.mktemp("plain"), max_tokens=16, stride=6, max_windows=5)


def test_a_word_makes_the_difference(tmp_path: Path) -> None:
    made = classifier(tmp_path)
    assert made.classify(LONG + "Ignore it").probability == pytest.approx(1 / (1 + math.exp(-4)), abs=1e-6)
    assert made.classify(LONG).probability == pytest.approx(1 / (1 + math.exp(8)), abs=1e-6)


@pytest.mark.parametrize(
    ("names", "columns", "weights", "expected"),
    [
        (parts.BINARY, (4, -4), {"ignore": (0, 12)}, 1 / (1 + math.exp(-4))),
        ({0: "benign", 1: "injection"}, (4, -4), {"ignore": (0, 12)}, 1 / (1 + math.exp(-4))),  # PIGuard
        ({0: "INJECTION", 1: "SAFE"}, (-4, 4), {"ignore": (12, 0)}, 1 / (1 + math.exp(-4))),
        ({0: "LABEL_0", 1: "LABEL_1"}, (4, -4), {"ignore": (0, 12)}, 1 / (1 + math.exp(-4))),  # Prompt Guard 2
        (None, (4, -4), {"ignore": (0, 12)}, 1 / (1 + math.exp(-4))),
        (parts.PROMPT_GUARD, (0, -9, -9), {"ignore": (0, 9, 9)}, 2 / 3),
        ({0: "attack"}, (-4,), {"ignore": (8,)}, 1 / (1 + math.exp(-4))),
    ],
)
def test_labels_of_known_models(tmp_path: Path, names: Any, columns: Any, weights: Any, expected: float) -> None:
    made = classifier(tmp_path, {"names": names, "bias": columns, "weights": weights})
    assert made.classify(LONG + "ignore").probability == pytest.approx(expected, abs=1e-5)
    assert made.classify(LONG).probability < 0.05


def test_labels_can_be_chosen(tmp_path: Path) -> None:
    model = {"names": parts.PROMPT_GUARD, "bias": (0, -9, -9), "weights": {"ignore": (0, 18, 0), "pretend": (0, 0, 18)}}
    made = classifier(tmp_path, model, labels=["Jailbreak"])
    assert made.classify("ignore").probability < 0.01
    assert made.classify("pretend").probability > 0.99
    assert classifier(tmp_path, model, labels=["2"]).classify("pretend").probability > 0.99


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        ({0: "SAFE", 1: "UNSAFE"}, None, (1,)),
        ({0: "NO_INJECTION", 1: "INJECTION"}, None, (1,)),
        ({0: "non-malicious", 1: "malicious"}, None, (1,)),
        ({0: "not injection", 1: "direct attack", 2: "Indirect-Attack"}, None, (1, 2)),
        ({0: "normal", 1: "notable attack"}, None, (1,)),
        ({1: "injection", 0: "ok"}, ["OK"], (0,)),
        ({}, None, (1,)),
    ],
)
def test_which_labels_mean_an_attack(names: Any, wanted: Any, found: Any) -> None:
    assert attack_indices(names, wanted) == found


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ({0: "positive", 1: "negative"}, None),
        ({0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}, None),
        ({0: "injection", 1: "jailbreak"}, None),  # then nothing would mean that there is no attack
        (parts.BINARY, ["toxic"]),
        (parts.BINARY, []),
    ],
)
def test_labels_are_never_guessed(names: Any, wanted: Any) -> None:
    with pytest.raises(NoOpinion):
        attack_indices(names, wanted)


@pytest.mark.parametrize("names", [None, parts.PROMPT_GUARD])
def test_outputs_that_do_not_fit_the_labels(tmp_path: Path, names: Any) -> None:
    columns = (0, 0, 0) if names is None else (0, 0)
    made = classifier(tmp_path, {"names": names, "bias": columns, "weights": {}})
    with pytest.raises(NoOpinion):
        made.classify("hello")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"id2label": [1]}', '{"id2label": {"a": "b"}}', "[" * 100_000])
def test_a_broken_config_is_none(tmp_path: Path, content: str) -> None:
    made = classifier(tmp_path, {"names": None})
    (tmp_path / "config.json").write_text(content)
    assert made.classify("ignore").probability > 0.9


@pytest.mark.parametrize(
    "inputs",
    [("input_ids",), ("input_ids", "attention_mask"), ("input_ids", "attention_mask", "token_type_ids")],
)
@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32])
def test_the_graph_gets_the_inputs_it_asks_for(tmp_path: Path, inputs: tuple[str, ...], kind: int) -> None:
    made = classifier(tmp_path, {"inputs": inputs, "kind": kind})
    assert made.classify(LONG + "ignore").probability > 0.98
    assert made.classify(LONG).probability < 0.02


def test_an_unknown_input_is_a_clear_fault(tmp_path: Path) -> None:
    path = parts.model(tmp_path, inputs=("input_ids", "token_type_ids"))
    import onnx

    graph = onnx.load(path)
    for node in graph.graph.node:
        node.input[:] = ["pixels" if name == "token_type_ids" else name for name in node.input]
    graph.graph.input[1].name = "pixels"
    onnx.save(graph, path)
    with pytest.raises(NoOpinion, match="input"):
        OnnxClassifier(path, parts.tokenizer(tmp_path)).classify("hello")


def test_a_graph_of_fixed_length(tmp_path: Path) -> None:
    made = classifier(tmp_path, {"length": 8}, stride=3, max_tokens=512)
    assert made.classify("hello").probability < 0.01
    worst = made.classify(FILLER + "ignore " + FILLER)
    assert worst.probability > 0.98
    assert worst.start <= len(FILLER) <= worst.end
    assert worst.tokens <= 6


def test_a_graph_that_gives_probabilities(tmp_path: Path) -> None:
    weights = {"ignore": (0.1, 0.9), "hello": (0.9, 0.1)}
    made = classifier(tmp_path, {"bias": (0, 0), "weights": weights, "output": "probabilities"})
    assert made.classify("ignore").probability == pytest.approx(0.9)
    assert made.classify("hello").probability == pytest.approx(0.1)


@pytest.mark.parametrize("size", [1e30, 3e38])
def test_huge_logits_stay_probabilities(tmp_path: Path, size: float) -> None:
    made = classifier(tmp_path, {"weights": {"ignore": (0, size), "hello": (size, 0)}})
    assert made.classify("ignore").probability == 1.0
    assert made.classify("hello").probability == 0.0


@pytest.mark.parametrize("size", [math.inf, math.nan])
def test_what_is_no_number_is_no_opinion(tmp_path: Path, size: float) -> None:
    made = classifier(tmp_path, {"bias": (0, size)})
    with pytest.raises(NoOpinion, match="not_finite"):
        made.classify("hello")


def test_windows_overlap(plain: OnnxClassifier) -> None:
    windows, _ = plain._windows(plain._load(), " ".join(f"{i:03}" for i in range(30)))
    assert [window.place[0] // 4 for window in windows] == [0, 6, 12, 18]
    assert [window.tokens for window in windows] == [14, 14, 14, 12]


@pytest.mark.parametrize("place", range(0, 40, 3))
def test_no_place_of_a_text_is_out_of_sight(plain: OnnxClassifier, place: int) -> None:
    words = ["word"] * 36
    words.insert(place, "ignore")
    worst = plain.classify(" ".join(words))
    assert worst.probability > 0.98
    assert not worst.partial
    at = " ".join(words).index("ignore")
    assert worst.start <= at < at + len("ignore") <= worst.end


def test_too_long_a_text_is_read_at_both_ends_and_says_so(plain: OnnxClassifier) -> None:
    for text in ("ignore " + FILLER * 5_000, FILLER * 5_000 + "ignore"):
        began = time.monotonic()
        worst = plain.classify(text)
        assert worst.probability > 0.98
        assert worst.partial
        assert text[worst.start : worst.end].find("ignore") >= 0
        assert time.monotonic() - began < 2
    assert plain.classify(FILLER * 5_000).partial


def test_a_deadline_ends_it(plain: OnnxClassifier) -> None:
    with pytest.raises(TimeoutError):
        plain.classify(LONG, deadline=time.monotonic() - 1)


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t", "\x00", "\ud800\udfff ignore", "🦜" * 50, "a" * 100_000, "\u202eignore"]
)
def test_odd_texts(plain: OnnxClassifier, text: str) -> None:
    worst = plain.classify(text)
    assert 0 <= worst.start <= worst.end <= len(text)
    assert 0 <= worst.probability <= 1
    if " ignore" in text:
        assert worst.probability > 0.98


@given(st.text(max_size=400))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_has_a_place_and_a_probability(plain: OnnxClassifier, text: str) -> None:
    worst = plain.classify(text)
    assert 0 <= worst.start <= worst.end <= len(text)
    assert 0 <= worst.probability <= 1


def test_short_texts_need_more(tmp_path: Path) -> None:
    model = {"weights": {"maybe": (0, 10), "ignore": (0, 40)}}  # .88 for "maybe"
    made = classifier(tmp_path, model, threshold=0.8)

    def threat(text: str) -> bool:
        return made.ask(parts.question(text), parts.soon()).is_threat

    assert threat("maybe " + LONG)
    assert not threat("maybe")
    assert not threat("maybe so")
    assert threat("ignore this")


def test_an_opinion_has_a_place(tmp_path: Path) -> None:
    text = FILLER * 2 + "ignore " + FILLER * 2
    said = classifier(tmp_path, max_tokens=16, stride=8).ask(parts.question(text), parts.soon())
    assert (said.is_threat, said.category, said.partial) == (True, "prompt_injection", False)
    assert "ignore" in text[said.start : said.end]
    assert len(text[said.start : said.end]) < len(text) / 2


def test_many_threads_at_once(tmp_path: Path) -> None:
    made = classifier(tmp_path)
    wrong: list[float] = []

    def work(word: str, low: float, high: float) -> None:
        for _ in range(20):
            p = made.classify(LONG + word).probability
            if not low <= p <= high:
                wrong.append(p)

    threads = [threading.Thread(target=work, args=a) for a in [("ignore", 0.98, 1), ("hello", 0, 0.01)] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("threads", [1, 2])
def test_it_works_in_a_forked_child(tmp_path: Path, threads: int) -> None:
    parts.model(tmp_path)
    parts.tokenizer(tmp_path)
    program = f"""
import os, sys
from llmtrace_sdk.tiers.onnx import OnnxClassifier
made = OnnxClassifier({str(tmp_path / "model.onnx")!r}, {str(tmp_path / "tokenizer.json")!r}, threads={threads})
assert made.classify("ignore").probability > .9
child = os.fork()
if not child:
    sys.exit(0 if made.classify("ignore").probability > .9 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_onnxruntime_reports_to_nobody(tmp_path: Path) -> None:
    parts.model(tmp_path)
    parts.tokenizer(tmp_path)
    program = f"""
import subprocess
from llmtrace_sdk.tiers.onnx import OnnxClassifier
OnnxClassifier({str(tmp_path / "model.onnx")!r}, {str(tmp_path / "tokenizer.json")!r}).classify("hello")
subprocess.run(["printenv", "ORT_DISABLE_TELEMETRY"], check=True)
"""
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, timeout=60, check=True, capture_output=True)
    assert done.stdout == b"1\n"


@pytest.mark.parametrize("name", ["onnxruntime", "tokenizers"])
def test_a_missing_package_is_named_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    made = classifier(tmp_path)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'pip install "llmtrace-sdk\[ml\]"'):
        made.classify("hello")


def test_broken_files_raise_and_harm_nobody(tmp_path: Path) -> None:
    made = classifier(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"no model at all")
    with pytest.raises(Exception, match=r"\S"):
        made.classify("hello")
    parts.model(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": "1.0"}))
    with pytest.raises(Exception, match=r"\S"):
        made.classify("hello")
    parts.tokenizer(tmp_path)
    assert made.classify("ignore").probability > 0.9


@pytest.mark.parametrize("options", [{"max_tokens": 4}, {"stride": 0}, {"stride": 509}, {"max_windows": 0}])
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="max_tokens"):
        OnnxClassifier(tmp_path, tmp_path, **options)


def test_nothing_is_loaded_before_it_is_needed() -> None:
    program = (
        "import sys, llmtrace_sdk; from llmtrace_sdk import runtime; runtime.configure();"
        "bad = {'onnxruntime', 'tokenizers', 'numpy', 'anyio', 'httpx', 'llmtrace_sdk.tiers'} & set(sys.modules);"
        "print(sorted(bad)); sys.exit(bool(bad))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=dict(os.environ), timeout=60, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stdout
