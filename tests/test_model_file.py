from __future__ import annotations

import hashlib
import json
import struct
import zlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_sdk.core.fusion import HEADS
from llmtrace_sdk.core.words import tokens
from llmtrace_sdk.data import model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PACKED = files("llmtrace_sdk.data").joinpath(model.FILE).read_bytes()
NEXT_STEP = "reinstall llmtrace-sdk"


@pytest.fixture
def _unread() -> Iterator[None]:
    model.injection.cache_clear()
    yield
    model.injection.cache_clear()


def small() -> tuple[dict[str, Any], list[bytes]]:
    """Header and parts of a model of two words and one pair."""
    head = {"scale": 0.5, "bias": -1.0, "block": 4, "contrast": 0.0, "rule_weight": 2.0}
    header = {"heads": {name: {**head, "points": [[-1.0, 0.1], [1.0, 0.9]]} for name in ("user", "data")}}
    return header, [b"ignore\nrules", struct.pack("<HH", 1, 2), bytes([0, 2, 4, 8]), bytes([0, 1, 256 - 1, 0])]


def packed(header: Any, parts: list[bytes], sizes: Any = None) -> bytes:
    if isinstance(header, dict):
        header = {"sizes": [len(part) for part in parts] if sizes is None else sizes, **header}
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return model.MAGIC + struct.pack("<I", len(raw)) + raw + zlib.compress(b"".join(parts))


def test_the_file_that_ships_is_the_one_that_is_pinned_and_small() -> None:
    assert hashlib.sha256(PACKED).hexdigest() == model.SHA256
    assert len(PACKED) <= 1 << 20


def test_its_card_is_about_this_file() -> None:
    card = json.loads(files("llmtrace_sdk.data").joinpath(model.FILE.replace(".bin", ".json")).read_text("utf-8"))
    assert (card["sha256"], card["bytes"]) == (model.SHA256, len(PACKED))


def test_what_is_in_it() -> None:
    shipped = model.injection()
    words, runs, heads = shipped.model.words, shipped.model.runs, shipped.model.heads
    assert heads.keys() == shipped.heads.keys() == set(HEADS.values())
    assert sorted(words.values()) == list(range(1, len(words) + 1))
    assert sorted(runs.values()) == list(range(len(words) + 1, len(words) + len(runs) + 1))
    assert all(1 <= number <= len(words) for pair in runs for number in pair)
    for head in heads.values():
        assert len(head.weights) == 1 + len(words) + len(runs)
        assert head.weights[0] == 0
        assert head.block > 0
        assert head.scale > 0
    assert model.injection() is shipped


def test_its_words_are_words_as_they_are_found() -> None:
    strange = [word for word in model.injection().model.words if tokens(word) != [word]]
    assert strange == []


def test_a_small_one_says_what_it_was_made_to_say() -> None:
    fusion = model.parse(packed(*small()))
    assert fusion.model.words == {"ignore": 1, "rules": 2}
    assert fusion.model.runs == {(1, 2): 3}
    assert list(fusion.model.heads["data"].weights) == [0, 1, -1, 0]
    assert fusion.model.score(["ignore", "rules"], "user").logit == 0.5 * 14 - 1.0
    assert fusion.heads["user"].curve(1.0) == pytest.approx(0.9)


@pytest.mark.usefixtures("_unread")
@pytest.mark.parametrize("change", [lambda b: b + b"\0", lambda b: b[:-1], lambda b: b"", lambda b: b[::-1]])
def test_another_file_is_not_used(
    change: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / model.FILE).write_bytes(change(PACKED))
    monkeypatch.setattr(model, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match=rf"{model.FILE}: SHA-256 is .*, not {model.SHA256}; {NEXT_STEP}"):
        model.injection()
    (tmp_path / model.FILE).write_bytes(PACKED)
    assert model.injection().model.words


def test_a_file_that_was_cut_off() -> None:
    for size in [*range(0, len(PACKED), 1000), *range(64), len(PACKED) - 1, len(PACKED) - 4]:
        with pytest.raises(ValueError, match=NEXT_STEP):
            model.parse(PACKED[:size])


@pytest.mark.parametrize("magic", [b"LTM2", b"\0\0\0\0", b"PK\3\4", b"ltm1"])
def test_a_file_of_another_sort(magic: bytes) -> None:
    with pytest.raises(ValueError, match=f"not a model file.*{NEXT_STEP}"):
        model.parse(magic + PACKED[4:])


@pytest.mark.parametrize(
    "header", [[], 7, None, "x", {}, {"heads": []}, {"heads": {}}, {"heads": {"user": []}}], ids=str
)
def test_a_header_that_says_nothing(header: Any) -> None:
    with pytest.raises(ValueError, match=NEXT_STEP):
        model.parse(packed(header, small()[1]))


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [12, 4, 4],
        [12, 4, 4, 4, 0],
        [12, 4, 4, 3],
        [12, 4, 3, 4],
        [12, 4, 4, 5],
        [12, 4, 5, 4],
        [13, 4, 4, 3],
        [11, 4, 4, 4],
        [12, 3, 4, 4],
        [12, 0, 4, 4],
        [12, 8, 4, 0],
        [-12, 4, 4, 4],
        [12, -4, 8, 8],
        [0, 0, 0, 0],
        [12, 4, 4, 1 << 70],
        [1.5, 4, 4, 4],
        ["12", "4", "4", "4"],
        None,
        12,
        {"12": 4},
    ],
    ids=str,
)
def test_sizes_that_do_not_fit(sizes: Any) -> None:
    header, parts = small()
    with pytest.raises(ValueError, match=NEXT_STEP):
        model.parse(packed({**header, "sizes": sizes}, parts))


@pytest.mark.parametrize("field", ["scale", "bias", "block", "contrast", "rule_weight", "points"])
@pytest.mark.parametrize("value", [None, "x", [], {}, float("nan")], ids=str)
def test_numbers_that_are_none(field: str, value: Any) -> None:
    header, parts = small()
    header["heads"]["data"][field] = value
    with pytest.raises(ValueError, match=NEXT_STEP):
        model.parse(packed(header, parts))
    del header["heads"]["data"][field]
    with pytest.raises(ValueError, match=NEXT_STEP):
        model.parse(packed(header, parts))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("block", 0),
        ("block", -4),
        ("block", 2.5),
        ("points", [[0.0, 0.5]]),
        ("points", [[1.0, 0.1], [1.0, 0.9]]),
        ("points", [[1.0, 0.9], [2.0, 0.1]]),
        ("points", [[2.0, 0.1], [1.0, 0.9]]),
        ("points", [[1.0, 0.1], [2.0, 1.0]]),
        ("points", [[1.0, 0.0], [2.0, 0.5]]),
        ("points", [[1.0], [2.0]]),
    ],
)
def test_numbers_that_cannot_be_used(field: str, value: Any) -> None:
    header, parts = small()
    header["heads"]["user"][field] = value
    with pytest.raises(ValueError, match=NEXT_STEP):
        model.parse(packed(header, parts))


@pytest.mark.parametrize(
    ("number", "part"),
    [
        (0, b"\xff\xfe\xff\n12345678"),
        (0, b"rules\nrules\n"),
        (1, struct.pack("<HH", 1, 3)),
        (1, struct.pack("<HH", 0, 1)),
        (1, b"\xff\xff\xff\xff"),
    ],
)
def test_parts_that_are_something_else(number: int, part: bytes) -> None:
    header, parts = small()
    parts[number] = part
    with pytest.raises(ValueError, match=NEXT_STEP):
        model.parse(packed(header, parts))


def changed(raw: bytes, data: st.DataObject) -> bytes:
    made = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    return bytes(made)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_bytes_that_were_changed_are_an_error_or_a_model(data: st.DataObject) -> None:
    header, parts = small()
    where = data.draw(st.sampled_from(["file", "header", *range(len(parts))]))
    if where == "file":  # then the sum over what is packed is wrong, mostly
        raw = changed(packed(header, parts), data)
    elif where == "header":
        raw = packed(changed(json.dumps({"sizes": [len(part) for part in parts], **header}).encode(), data), parts)
    else:
        parts[where] = changed(parts[where], data)
        raw = packed(header, parts)
    fusion, fault = None, ""
    try:
        fusion = model.parse(raw)
    except ValueError as error:
        fault = str(error)
    assert (NEXT_STEP in fault) is (fusion is None), fault
    for channel in ("user", "data") if fusion else ():
        assessment = fusion.weigh(["ignore", "rules", "x"] * 3, channel, ())  # type: ignore[arg-type]
        assert assessment is None or 0 <= assessment.score <= 1
