"""Huge pages: what is asked for, and that nothing else happens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmtrace_relay import hugepages
from llmtrace_relay.hugepages import SIZE, dense

RELAY = Path(hugepages.__file__).parents[1]

HEAP = """\
560000100000-560000b00000 rw-p 00000000 00:00 0                          [heap]
Size:              10240 kB
Rss:               {rss} kB
Pss:                9000 kB
VmFlags: rd wr mr mw me ac sd
"""
OTHERS = """\
7f0000000000-7f0000a00000 r-xp 00000000 fe:00 5                          /usr/lib/libpython.so
Rss:               10240 kB
7f1000000000-7f1000a00000 rw-p 00000000 fe:00 5                          /usr/lib/libpython.so
Rss:               10240 kB
7f2000000000-7f2000a00000 rw-s 00000000 00:01 7                          /dev/shm/wal
Rss:               10240 kB
7f3000000000-7f3000a00000 ---p 00000000 00:00 0
Rss:                   0 kB
7ffd00000000-7ffd00a00000 rw-p 00000000 00:00 0                          [stack]
Rss:               10240 kB
7f4000000000-7f40000ff000 rw-p 00000000 00:00 0
Rss:                1020 kB
"""


def regions(smaps: str) -> list[tuple[int, int]]:
    return [*dense(smaps.splitlines(keepends=True))]


def test_what_is_mostly_in_use_is_taken() -> None:
    assert regions(HEAP.format(rss=9000)) == [(0x560000100000, 0x560000B00000)]
    assert regions("7f5000000000-7f5000400000 rw-p 00000000 00:00 0 \nRss:                4096 kB\n") == [
        (0x7F5000000000, 0x7F5000400000)
    ]


def test_what_was_hardly_touched_is_not() -> None:
    assert regions(HEAP.format(rss=5000)) == []


def test_neither_is_what_files_stacks_or_others_have_or_is_too_small() -> None:
    assert regions(OTHERS) == []
    assert regions(OTHERS + HEAP.format(rss=10240) + OTHERS) == [(0x560000100000, 0x560000B00000)]


def test_only_whole_pages_lie_within() -> None:
    assert hugepages.whole(SIZE - 1, 4 * SIZE + 1) == (SIZE, 4 * SIZE)
    assert hugepages.whole(SIZE, 2 * SIZE) == (SIZE, 2 * SIZE)


PROGRAM = """
import mmap, os, sys, tempfile
sys.path.insert(0, sys.argv[1])
from llmtrace_relay import hugepages

folder = tempfile.mkdtemp().encode()
odd = os.path.join(folder, b"\\xff\\xfe")  # names of files are bytes, and stand in what the system tells
with open(odd, "wb") as file:
    file.write(b"x" * 4096)
with open(odd, "rb") as file:
    held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
os.unlink(odd)
os.rmdir(folder)

def huge():
    with open("/proc/self/smaps_rollup") as lines:
        return sum(int(each.split()[1]) for each in lines if each.startswith("AnonHugePages:"))

filled = [str(number) for number in range(1_000_000)]
taken = hugepages.take()
print(taken >> 10, huge())
assert filled == [str(number) for number in range(1_000_000)]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="huge pages of this kind are Linux's")
def test_a_process_gets_them_and_keeps_what_it_has() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM, str(RELAY)], capture_output=True, text=True, check=True)
    taken, huge = map(int, run.stdout.split())
    if taken == 0:
        pytest.skip("the system says that there are none")
    assert taken > 32 << 10
    assert huge > 0


def test_where_the_system_has_none_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    switch = tmp_path / "enabled"
    monkeypatch.setattr(hugepages, "_SWITCH", switch)
    assert hugepages.take() == 0
    switch.write_text("always madvise [never]\n")
    assert hugepages.take() == 0
