"""What the processes of a relay hold, told by the system (Linux: /proc)."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.relay.processes import children

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.relay.running import RunningRelay

ESTABLISHED, LISTENING = "01", "0A"


class Held(NamedTuple):
    """`rss`: kilobytes."""

    rss: int
    fds: int
    threads: int


def workers(relay: RunningRelay) -> list[int]:
    """The processes that serve."""
    assert relay.process is not None
    found = [pid for pid in children(relay.process.pid) if "resource_tracker" not in _command(pid)]
    return sorted(found) or [relay.process.pid]


def held(pid: int) -> Held:
    """What a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    numbers = [int(found[1]) for name in ("VmRSS", "Threads") if (found := re.search(rf"{name}:\s+(\d+)", status))]
    return Held(numbers[0], sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()), numbers[1])


def listens(pid: int, url: str) -> bool:
    """Whether a process listens there."""
    return connections(pid, url, LISTENING) > 0


def connections(pid: int, url: str, state: str = ESTABLISHED) -> int:
    """How many connections a process has with a port, at either end."""
    port = f"{int(url.rpartition(':')[2]):04X}"
    inodes = Counter[str]()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == state and port in (words[1][-4:], words[2][-4:]):
            inodes[words[9]] += 1
    return sum(inodes[target[8:-1]] for target in _files(pid) if target.startswith("socket:["))


def _files(pid: int) -> Iterator[str]:
    with suppress(OSError):  # it may end at any moment
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                yield str(each.readlink())


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""
