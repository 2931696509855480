"""The optional tiers behind the built-in engine: a classifier of the user's own, and a language model as judge.

Nothing here is imported unless a tier is switched on (groups `ml` and `judge` of the configuration).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.errors import ConfigError
from llmtrace_sdk.tiers.desk import Desk
from llmtrace_sdk.tiers.judge import DEFAULT_URLS, KEY_VARIABLES, Judge
from llmtrace_sdk.tiers.onnx import OnnxClassifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.core.tiers import JudgeOptions, MLOptions, TierName
    from llmtrace_sdk.tiers.adviser import Adviser

_NEEDED: Final = {"ml": ("onnxruntime", "tokenizers"), "judge": ("httpx", "httpx2")}


def build(
    ml: MLOptions,
    judge: JudgeOptions,
    *,
    secret: Callable[[str], str | None],
    on_fault: Callable[[str, BaseException], None],
) -> Desk:
    """The desk with the tiers that are switched on. `secret` reads an environment variable.

    Raises `ConfigError` for packages, files and keys that are not there, all at once.
    """
    key, problems = _key(judge, secret) if judge.enabled else ("", [])
    if ml.enabled:
        problems = [*_ml_problems(ml), *problems]
    if problems:
        raise ConfigError(problems)
    advisers: dict[TierName, Adviser] = {}
    if ml.enabled:
        advisers["ml"] = classifier(ml)
    if judge.enabled:
        advisers["judge"] = Judge(judge, key, patient=judge.mode == "async")
    desk = Desk(advisers, on_fault)
    desk.warm()
    return desk


def classifier(options: MLOptions) -> OnnxClassifier:
    """The classifier that the options describe; nothing is loaded yet."""
    model = Path(options.model_path or "")
    tokenizer = Path(options.tokenizer_path) if options.tokenizer_path else model.with_name("tokenizer.json")
    return OnnxClassifier(model, tokenizer, labels=options.labels, threshold=options.threshold, threads=options.threads)


def _ml_problems(options: MLOptions) -> list[str]:
    missing = [name for name in _NEEDED["ml"] if find_spec(name) is None]
    problems = [f'ml: {", ".join(missing)} not installed; pip install "llmtrace-sdk[ml]"'] if missing else []
    made = classifier(options)
    files = {"model_path": made.model_path, "tokenizer_path": made.tokenizer_path}
    return [*problems, *(f"ml.{name}: there is no file {path}" for name, path in files.items() if not path.is_file())]


def _key(options: JudgeOptions, secret: Callable[[str], str | None]) -> tuple[str, list[str]]:
    """The key to send, '' for none. A vendor's key goes to the vendor alone, unless the user says otherwise."""
    problems = []
    if all(find_spec(name) is None for name in _NEEDED["judge"]):
        problems.append('judge: neither httpx nor httpx2 is installed; pip install "llmtrace-sdk[judge]"')
    at_home = options.base_url is None or options.base_url.rstrip("/") == DEFAULT_URLS[options.provider]
    variable = options.api_key_env or (KEY_VARIABLES[options.provider] if at_home else "")
    key = (secret(variable) or "").strip() if variable else ""
    if variable and not key:
        problems.append(f"judge.api_key_env: the environment variable {variable} is not set")
    elif not (key.isascii() and key.isprintable()):
        problems.append(f"judge.api_key_env: the environment variable {variable} holds no usable key")
    return key, problems
