"""A tiny ONNX classifier and its tokenizer, made here; an engine that finds what it is told to; judges' answers."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.core.scan import ScanReport
from llmtrace_sdk.core.tiers import Opinion, Question

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from llmtrace_sdk.core.model import Finding, Phase

WORDS = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "ignore", "pretend", "maybe", "overflow", "nothing", "hello")
BINARY = {0: "SAFE", 1: "INJECTION"}
PROMPT_GUARD = {0: "BENIGN", 1: "INJECTION", 2: "JAILBREAK"}


def tokenizer(folder: Path) -> Path:
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    path = folder / "tokenizer.json"
    made.save(str(path))
    return path


def model(
    folder: Path,
    names: dict[int, str] | None = BINARY,
    *,
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    kind: int = TensorProto.INT64,
    weights: dict[str, Sequence[float]] | None = None,
    bias: Sequence[float] = (4.0, -4.0),
    length: int | str = "tokens",
    output: str = "logits",
) -> Path:
    """Each word has a row of logits; the text's are the highest of each column, plus `bias`."""
    columns = len(bias)
    table = np.zeros((len(WORDS), columns), np.float32)
    for word, row in ({"ignore": (0.0, 12.0)} if weights is None else weights).items():
        table[WORDS.index(word)] = row
    nodes = _nodes(inputs, output)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, ["batch", length]) for name in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", columns])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array(bias, np.float32), "bias"),
            numpy_helper.from_array(np.array([2], np.int64), "last"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(made)
    folder.mkdir(exist_ok=True)
    path = folder / "model.onnx"
    onnx.save(made, path)
    if names is not None:
        (folder / "config.json").write_text(json.dumps({"id2label": {str(k): v for k, v in names.items()}}))
    return path


def _nodes(inputs: Sequence[str], output: str) -> list[Any]:
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("ReduceMax", ["rows"], ["pooled"], axes=[1], keepdims=0),
        helper.make_node("Add", ["pooled", "bias"], [output]),
    ]
    if "attention_mask" in inputs:
        nodes[1:1] = [
            helper.make_node("Cast", ["attention_mask"], ["ones"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["ones", "last"], ["mask"]),
            helper.make_node("Mul", ["rows", "mask"], ["seen"]),
        ]
        nodes[4] = helper.make_node("ReduceMax", ["seen"], ["pooled"], axes=[1], keepdims=0)
    if "token_type_ids" in inputs:  # it must be used, or the graph would not ask for it
        nodes[-1] = helper.make_node("Add", ["pooled", "bias"], ["biased"])
        nodes += [
            helper.make_node("Cast", ["token_type_ids"], ["kinds"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMax", ["kinds"], ["kind"], axes=[1], keepdims=1),
            helper.make_node("Sub", ["biased", "kind"], [output]),
        ]
    return nodes


def segment(text: str, channel: Any = "user", pointer: str = "/messages/0/content") -> Segment:
    return Segment(text, channel, pointer)


def question(text: str, channel: Any = "user") -> Question:
    return Question(segment(text, channel), text)


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def verdict(threat: bool, category: str = "", confidence: float = 0.95, **more: Any) -> str:
    category = category or ("prompt_injection" if threat else "benign")
    return json.dumps({"is_threat": threat, "category": category, "confidence": confidence, **more})


def saying(text: str) -> str:
    """The scenario in which the fake provider says this."""
    return "say=" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


class GreyEngine:
    """Finds nothing but what it was given, and finds every text of a request as grey as it was told."""

    names = ("stub",)

    def __init__(self, score: float = 0.5, findings: Sequence[Finding] = (), **report: Any) -> None:
        self._score, self._findings, self._report = score, tuple(findings), report

    def scan(self, segments: Sequence[Segment], phase: Phase) -> ScanReport:
        if phase == "output":
            return ScanReport()
        grey = tuple((s, self._score) for s in segments)
        return ScanReport(self._findings, score=self._score, grey=grey, **self._report)

    def rules(self, *_: Any) -> Sequence[Any]:
        return ()

    def warm(self) -> None:
        pass


class Oracle:
    """An adviser that does what it is told to."""

    def __init__(self, answer: Callable[[Question], Opinion] | Opinion | BaseException, delay_s: float = 0.0) -> None:
        self.answer, self.delay_s = answer, delay_s
        self.asked: list[str] = []
        self.closed = 0

    def ask(self, question: Question, deadline: float) -> Opinion:
        self.asked.append(question.text)
        time.sleep(self.delay_s)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer if isinstance(self.answer, Opinion) else self.answer(question)

    def warm(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


def threat(category: Any = "prompt_injection", confidence: float = 0.95, **more: Any) -> Opinion:
    return Opinion(is_threat=True, category=category, confidence=confidence, **more)


def harmless(category: Any = "benign", confidence: float = 0.95, **more: Any) -> Opinion:
    return Opinion(is_threat=False, category=category, confidence=confidence, **more)


ATTACK, BENIGN = threat(), harmless()


def with_engine(runtime: Any, engine: GreyEngine) -> None:
    runtime.pipeline = msgspec.structs.replace(runtime.pipeline, engine=engine)
