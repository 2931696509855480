"""A sequence classifier of the user's own as an ONNX file: DeBERTa, Prompt Guard, PIGuard or any other of their kind.

A long text is read in windows that overlap, and its score is that of its worst window. Nothing is ever downloaded.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmtrace_sdk.core.masking import encodable
from llmtrace_sdk.core.tiers import Opinion
from llmtrace_sdk.tiers.adviser import NoOpinion
from llmtrace_sdk.tiers.labels import attack_indices, read_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.tiers import Category, Question

INSTALL: Final = 'the ml tier needs onnxruntime and tokenizers: pip install "llmtrace-sdk[ml]"'
CERTAIN: Final = 0.999
SHORT_TOKENS: Final = 10
CHARACTERS_PER_TOKEN: Final = 6
"""What a token is taken for when the length of a text is bounded before it is cut into tokens."""

_TYPES: Final = {"tensor(int64)": "int64", "tensor(int32)": "int32"}
_INPUTS: Final = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


class Passage(NamedTuple):
    """The part of a text that looks most like an attack: probability (0..1), its place in characters, content tokens.

    `partial`: the text was too long to be read whole.
    """

    probability: float
    start: int
    end: int
    tokens: int
    partial: bool


class _Window(NamedTuple):
    encoding: Any
    offset: int

    @property
    def place(self) -> tuple[int, int]:
        """Its place in the text, in characters."""
        marks = zip(self.encoding.offsets, self.encoding.special_tokens_mask, strict=True)
        places = [place for place, special in marks if not special]
        if not places:
            return self.offset, self.offset
        return self.offset + places[0][0], self.offset + max(end for _, end in places)

    @property
    def tokens(self) -> int:
        """How many tokens of the text it holds."""
        special: int = sum(self.encoding.special_tokens_mask)
        return len(self.encoding.ids) - special


class OnnxClassifier:
    """Gives the probability that a text is an attack. Thread-safe; loads its files at the first text.

    `labels`: the names of the labels that mean an attack; their probabilities are added up. Without it they are told
    by their names, which `config.json` beside the model holds. `threshold`: the probability from which a text is a
    threat; under ten tokens it rises, up to .999, since a classifier knows little about a word or two. Windows hold
    `max_tokens` tokens and begin `stride` tokens apart; of more than `max_windows`, that many are read, evenly spread.
    `threads`: of one run.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str],
        tokenizer_path: str | os.PathLike[str],
        *,
        labels: Sequence[str] | None = None,
        threshold: float = 0.8,
        max_tokens: int = 512,
        stride: int = 256,
        max_windows: int = 8,
        threads: int = 1,
    ) -> None:
        if max_tokens < 8 or not 1 <= stride <= max_tokens - 4 or max_windows < 1:
            raise ValueError("max_tokens must be at least 8, stride 1 to max_tokens - 4, max_windows at least 1")
        self.model_path = Path(model_path)
        self.tokenizer_path = Path(tokenizer_path)
        self._labels = tuple(labels) if labels is not None else None
        self._threshold = threshold
        self._max_tokens = max_tokens
        self._stride = stride
        self._max_windows = max_windows
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def ask(self, question: Question, deadline: float) -> Opinion:
        """The opinion on one text. Raises as `classify` does."""
        worst = self.classify(question.text, deadline=deadline)
        threat = worst.probability >= self._needed(worst.tokens)
        category: Category = "prompt_injection" if threat else "benign"
        return Opinion(threat, category, worst.probability, worst.start, worst.end, worst.partial)

    def classify(self, text: str, *, deadline: float | None = None) -> Passage:
        """The passage of a text that looks most like an attack; reading ends early at one that is certain.

        Raises `TimeoutError` at `deadline` (`time.monotonic()`), `NoOpinion` for files that do not fit together,
        ImportError with what to install, and what onnxruntime raises.
        """
        loaded = self._load()
        windows, partial = self._windows(loaded, text)
        worst = Passage(0.0, 0, 0, 0, partial)
        for window in windows:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError
            probability = loaded.probability(window.encoding)
            if probability > worst.probability or not worst.tokens:
                worst = Passage(probability, *window.place, window.tokens, partial)
            if probability >= CERTAIN:
                break
        return worst

    def warm(self) -> None:
        """Load the files and run the model once. Raises as `classify` does."""
        self.classify("a warm welcome")

    def close(self) -> None:
        """Let go of the model; the next text loads it again."""
        with self._lock:
            self._loaded = None

    def _needed(self, tokens: int) -> float:
        missing = max(SHORT_TOKENS - tokens, 0) / SHORT_TOKENS
        return self._threshold + max(CERTAIN - self._threshold, 0.0) * missing

    def _load(self) -> _Loaded:
        loaded = self._loaded
        if loaded is not None and loaded.usable:
            return loaded
        with self._lock:
            if self._loaded is not None and not self._loaded.usable:
                self._loaded.immortalise()
                self._loaded = None
            if self._loaded is None:
                self._loaded = _Loaded(self)
            return self._loaded

    def _windows(self, loaded: _Loaded, text: str) -> tuple[list[_Window], bool]:
        """The windows to read, and whether there are more than that."""
        text = encodable(text)
        limit = self._max_windows * self._max_tokens * CHARACTERS_PER_TOKEN
        pieces = [(text, 0)]
        if len(text) > limit:  # both ends: that is where instructions take effect
            half = limit // 2
            pieces = [(text[:half], 0), (text[-half:], len(text) - half)]
        windows = [_Window(e, offset) for piece, offset in pieces for e in loaded.encodings(piece)]
        chosen = _spread(windows, self._max_windows)
        return chosen, len(chosen) < len(windows) or len(pieces) > 1


class _Loaded:
    """The model and the tokenizer of one process."""

    def __init__(self, owner: OnnxClassifier) -> None:
        np, onnxruntime, tokenizers = _packages()
        self._np = np
        self._pid = os.getpid()
        self._threads = owner._threads
        self._session = onnxruntime.InferenceSession(
            str(owner.model_path), _session_options(onnxruntime, owner._threads), providers=["CPUExecutionProvider"]
        )
        self._inputs = {i.name: (_attribute_for(i), _TYPES.get(i.type, "int64")) for i in self._session.get_inputs()}
        self._length = _fixed_length(self._session.get_inputs())
        output = _output(self._session.get_outputs())
        self._output = output.name
        self._is_probability = "prob" in output.name.lower()
        names = read_labels(owner.model_path.with_name("config.json"))
        self._attacks = attack_indices(names, owner._labels)
        self._count = len(names) or (2 if owner._labels is None else None)
        self._tokenizer = _tokenizer(tokenizers, owner, self._length)

    @property
    def usable(self) -> bool:
        """Whether it can run in this process: the threads of a session do not survive a fork."""
        return self._threads == 1 or self._pid == os.getpid()

    def immortalise(self) -> None:
        """Never let go of the session: to end it would mean to wait for threads that only the parent has."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))

    def encodings(self, text: str) -> list[Any]:
        """The text cut into windows."""
        first = self._tokenizer.encode(text)
        return [first, *first.overflowing]

    def probability(self, encoding: Any) -> float:
        """The probability that a window is an attack, 0..1."""
        feed = {
            name: self._np.asarray([getattr(encoding, attribute)], dtype=kind)
            for name, (attribute, kind) in self._inputs.items()
        }
        values = self._np.asarray(self._session.run([self._output], feed)[0], dtype=self._np.float64).reshape(-1)
        if not len(values) or not self._np.isfinite(values).all():
            raise NoOpinion("not_finite")
        if self._count is not None and len(values) not in (1, self._count):
            raise NoOpinion("label_count")
        shares = values if self._is_probability else self._shares(values)
        at = self._attacks if len(values) > 1 else (0,)
        if max(at) >= len(values):
            raise NoOpinion("label_count")
        return float(min(max(shares[list(at)].sum(), 0.0), 1.0))

    def _shares(self, logits: Any) -> Any:
        """Softmax, or the logistic function of a single logit; safe for logits of any size."""
        if len(logits) == 1:
            logits = self._np.array([logits[0], 0.0])
        powers = self._np.exp(logits - logits.max())
        return powers / powers.sum()


def _packages() -> tuple[Any, Any, Any]:
    # From 1.29 on onnxruntime reports its use to its makers, on a thread that also hangs forked children at their end,
    # unless this is set before it is imported (its Privacy.md). The environment of native code alone is changed.
    os.putenv("ORT_DISABLE_TELEMETRY", "1")
    try:
        import numpy as np
        import onnxruntime
        import tokenizers
    except ImportError as error:
        raise ImportError(INSTALL) from error
    return np, onnxruntime, tokenizers


def _session_options(onnxruntime: Any, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads must not burn a core
    return options


def _attribute_for(node: Any) -> str:
    if node.name not in _INPUTS:
        raise NoOpinion(f"the model has an input of another name than {', '.join(_INPUTS)}")
    return _INPUTS[node.name]


def _fixed_length(inputs: Sequence[Any]) -> int | None:
    """The number of tokens that the graph insists on, None where it takes any."""
    lengths = {node.shape[1] for node in inputs if len(node.shape) == 2 and isinstance(node.shape[1], int)}
    return min(lengths, default=None)


def _output(outputs: Sequence[Any]) -> Any:
    named = [node for node in outputs if node.name == "logits"]
    return (named or outputs)[0]


def _tokenizer(tokenizers: Any, owner: OnnxClassifier, fixed: int | None) -> Any:
    """The tokenizer, told to cut into windows that overlap."""
    made = tokenizers.Tokenizer.from_file(str(owner.tokenizer_path))
    size = min(owner._max_tokens, fixed or owner._max_tokens)
    content = size - made.num_special_tokens_to_add(is_pair=False)
    if content < 1:
        raise NoOpinion("the model takes fewer tokens than its tokenizer adds")
    made.enable_truncation(size, stride=max(content - owner._stride, 0))
    if fixed:
        made.enable_padding(length=fixed)
    else:
        made.no_padding()
    return made


def _spread(windows: list[_Window], count: int) -> list[_Window]:
    """At most `count` of them: the first, the last, and others evenly between."""
    if len(windows) <= count:
        return windows
    if count == 1:
        return windows[:1]
    return [windows[round(i * (len(windows) - 1) / (count - 1))] for i in range(count)]
