"""What each key of `ml` and `judge` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk import runtime
from llmtrace_sdk.tiers.desk import Desk
from tests.tiers import parts

from .bench import GREY

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench

BLOCK = {"mode": "block"}


def found(bench: Bench, score: float = 0.5, **settings: Any) -> set[str]:
    """The rules that fired, after the tiers were asked."""
    bench.grey(score, **settings)
    return {finding.rule for finding in bench.again(GREY).record.findings}


def ml_model_path(bench: Bench) -> None:
    assert found(bench, ml=bench.ml()) == {"ml.onnx"}
    harmless = parts.model(bench.folder / "ml2", weights={"hello": (0, 40)})
    parts.tokenizer(bench.folder / "ml2")
    assert found(bench, ml=bench.ml(model_path=str(harmless))) == set()


def ml_enabled(bench: Bench) -> None:
    assert found(bench, ml=bench.ml(enabled=False)) == set()
    assert found(bench, ml=bench.ml()) == {"ml.onnx"}


def ml_tokenizer_path(bench: Bench) -> None:
    files = bench.ml()
    elsewhere = bench.folder / "elsewhere"
    elsewhere.mkdir()
    moved = parts.tokenizer(bench.folder / "ml").rename(elsewhere / "words.json")
    assert found(bench, ml={**files, "tokenizer_path": str(moved)}) == {"ml.onnx"}


def ml_labels(bench: Bench) -> None:
    assert found(bench, ml=bench.ml(labels=["SAFE"])) == set()
    assert found(bench, ml=bench.ml(labels=["INJECTION"])) == {"ml.onnx"}


def ml_threshold(bench: Bench) -> None:
    weak = parts.model(bench.folder / "weak", weights={"ignore": (0, 10)}, bias=(4.0, -4.0))
    parts.tokenizer(bench.folder / "weak")
    for threshold, rules in ((0.5, {"ml.onnx"}), (0.999, set())):
        assert found(bench, ml=bench.ml(model_path=str(weak), threshold=threshold)) == rules


def tier_mode(group: str) -> Callable[[Bench], None]:
    def effect(bench: Bench) -> None:
        for mode, status in (("inline", 400), ("async", 200)):
            bench.grey(enforcement=BLOCK, **{group: getattr(bench, group)(mode=mode)})
            assert bench.again(GREY).status == status

    return effect


def deadline_ms(group: str) -> Callable[[Bench], None]:
    def effect(bench: Bench) -> None:
        for limit, code in ((20_000, ()), (50, (f"{group}_timeout",))):
            made = bench.grey(**{group: getattr(bench, group)(deadline_ms=limit)})
            assert made._desk is not None
            made._desk.close(5)
            made._desk = Desk({group: parts.Oracle(parts.BENIGN, delay_s=0.3)}, runtime.count_fault)
            runtime._desks.add(made._desk)
            assert bench.again(GREY).record.coverage.reasons == code

    return effect


def end(group: str, key: str, value: float, score: float) -> Callable[[Bench], None]:
    def effect(bench: Bench) -> None:
        tier = getattr(bench, group)
        assert found(bench, score, **{group: tier()})
        assert found(bench, score, **{group: tier(**{key: value})}) == set()

    return effect


def ml_threads(bench: Bench) -> None:
    import onnxruntime

    seen: list[int] = []
    session = onnxruntime.InferenceSession

    def watched(*args: Any, **kwargs: Any) -> Any:
        options = kwargs.get("sess_options") or next(a for a in args if hasattr(a, "intra_op_num_threads"))
        seen.append(options.intra_op_num_threads)
        return session(*args, **kwargs)

    bench.monkeypatch.setattr(onnxruntime, "InferenceSession", watched)
    assert found(bench, ml=bench.ml(threads=2)) == {"ml.onnx"}
    assert set(seen) == {2}


def judge_enabled(bench: Bench) -> None:
    assert found(bench, judge=bench.judge(enabled=False)) == set()
    assert found(bench, judge=bench.judge()) == {"judge.prompt_injection"}


def judge_provider(bench: Bench) -> None:
    for provider, path in (("openai", "/v1"), ("anthropic", "")):
        where = f"{bench.provider.url}{path}"
        assert found(bench, judge=bench.judge(provider=provider, base_url=where)) == {"judge.prompt_injection"}


def judge_base_url(bench: Bench) -> None:
    assert found(bench, judge=bench.judge()) == {"judge.prompt_injection"}
    bench.grey(judge=bench.judge(base_url="http://127.0.0.1:9/v1"))
    assert bench.again(GREY).record.coverage.reasons == ("judge_failed",)


def judge_model(bench: Bench) -> None:
    said = parts.saying(parts.verdict(threat=True, category="jailbreak"))
    assert found(bench, judge=bench.judge(model=f"m+{said}")) == {"judge.jailbreak"}


def judge_api_key_env(bench: Bench) -> None:
    bench.monkeypatch.setenv("MY_OWN_KEY", "sesame")
    made: Any = bench.grey(judge=bench.judge(api_key_env="MY_OWN_KEY"))
    assert made._desk._advisers["judge"]._client._headers["authorization"] == "Bearer sesame"


def judge_min_confidence(bench: Bench) -> None:
    for least, rules in ((0.9, {"judge.prompt_injection"}), (0.96, set())):
        assert found(bench, judge=bench.judge(min_confidence=least)) == rules


def judge_shadow(bench: Bench) -> None:
    for shadow, status in ((False, 400), (True, 200)):
        bench.grey(enforcement=BLOCK, judge=bench.judge(shadow=shadow))
        assert bench.again(GREY).status == status


def judge_max_chars(bench: Bench) -> None:
    long = GREY + " and so on" * 100
    for limit, code in ((8_000, ()), (200, ("judge_partial",))):
        bench.grey(judge=bench.judge(max_chars=limit))
        assert bench.again(long).record.coverage.reasons == code


EFFECTS: dict[str, Callable[[Bench], None]] = {
    "ml.enabled": ml_enabled,
    "ml.model_path": ml_model_path,
    "ml.tokenizer_path": ml_tokenizer_path,
    "ml.labels": ml_labels,
    "ml.threshold": ml_threshold,
    "ml.mode": tier_mode("ml"),
    "ml.deadline_ms": deadline_ms("ml"),
    "ml.low": end("ml", "low", 0.6, 0.5),
    "ml.high": end("ml", "high", 0.4, 0.5),
    "ml.threads": ml_threads,
    "judge.enabled": judge_enabled,
    "judge.provider": judge_provider,
    "judge.base_url": judge_base_url,
    "judge.model": judge_model,
    "judge.api_key_env": judge_api_key_env,
    "judge.mode": tier_mode("judge"),
    "judge.deadline_ms": deadline_ms("judge"),
    "judge.min_confidence": judge_min_confidence,
    "judge.shadow": judge_shadow,
    "judge.low": end("judge", "low", 0.6, 0.5),
    "judge.high": end("judge", "high", 0.4, 0.5),
    "judge.max_chars": judge_max_chars,
}
