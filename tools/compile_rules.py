"""`python -m tools.compile_rules`: work out beforehand what a process would have to work out from the rule files."""

from __future__ import annotations

from llmtrace_sdk.detectors import _rules


def main() -> None:
    """Write `data/rules/compiled.bin`."""
    packed = _rules.compiled()
    _rules.folder().joinpath(_rules.COMPILED).write_bytes(packed)  # type: ignore[attr-defined]
    print(f"{_rules.COMPILED}: {len(packed):,} bytes")


if __name__ == "__main__":
    main()
