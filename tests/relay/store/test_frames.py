"""Records in a file that ends anywhere, or was damaged anywhere: all before that are read, and nothing that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_relay.store.frames import CONTENT_LIMIT, frame, unframe, wanted

CONTENTS = st.lists(st.binary(max_size=40), max_size=8)


def whole_before(contents: list[bytes], cut: int) -> list[bytes]:
    end, found = 0, []
    for content in contents:
        end += len(frame(content))
        if end > cut:
            break
        found.append(content)
    return found


@given(CONTENTS)
def test_every_cut_leaves_what_is_whole_before_it(contents: list[bytes]) -> None:
    data = b"".join(map(frame, contents))
    for cut in range(len(data) + 1):
        found, ends = unframe(data[:cut], 100)
        assert found == whole_before(contents, cut)
        assert ends == [len(b"".join(map(frame, contents[: at + 1]))) for at in range(len(found))]


@given(CONTENTS.filter(bool), st.data(), st.integers(1, 255))
def test_a_damaged_byte_ends_it_there(contents: list[bytes], data: st.DataObject, change: int) -> None:
    whole = bytearray(b"".join(map(frame, contents)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= change
    assert unframe(bytes(whole), 100)[0] == whole_before(contents, at)


@given(CONTENTS, st.integers(0, 8))
def test_no_more_are_read_than_are_wanted(contents: list[bytes], most: int) -> None:
    data = memoryview(b"".join(map(frame, contents)))
    assert unframe(data, most)[0] == contents[:most]


@pytest.mark.parametrize("rest", [b"", b"\0", b"\0" * 100, b"\xff" * 100], ids=ascii)
def test_what_no_one_wrote_is_no_record(rest: bytes) -> None:
    assert unframe(frame(b"x") + rest, 100)[0] == [b"x"]


def test_a_head_tells_how_much_its_record_takes() -> None:
    record = frame(b"x" * 1000)
    assert wanted(record[:8]) == len(record)
    assert wanted(record[:7]) == 0
    assert wanted(b"\xff" * 8) == 0


def test_records_have_a_limit() -> None:
    with pytest.raises(ValueError, match="limit"):
        frame(bytes(CONTENT_LIMIT + 1))
