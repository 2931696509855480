"""One folder in which several workers keep their metrics, so that each of them can tell those of all.

prometheus_client decides when it is imported whether values live in memory or in files that others can read, by an
environment variable. So `prepare` comes before anything that imports it, in the process that starts the workers; they
inherit the variable. Nothing here imports it at the top.
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
import tempfile
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: what dead workers counted stays in the files that they left
    fcntl = None

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
UNREADABLE: Final = (FileNotFoundError, RuntimeError, struct.error)
"""What reading a file raises whose worker has just begun it, or has just gone."""

_LOCK: Final = "lock"
_GONE: Final = "gone"
_SUMMED: Final = ("counter", "histogram")


def prepare(folder: Path | None = None) -> Path:
    """Have metrics kept in a folder that is made for it, from now on and in processes that are started from here.

    Without a name it is a new one for temporary files; one that is there is emptied. Raises `RuntimeError` when
    prometheus_client has been imported before: then it is too late.
    """
    values: Any = sys.modules.get("prometheus_client.values")
    if values is not None and not getattr(values.ValueClass, "_multiprocess", False):
        raise RuntimeError("prometheus_client keeps values in memory already: call prepare() before it is imported")
    if folder is None:
        made = Path(tempfile.mkdtemp(prefix="llmtrace-metrics-"))
    else:
        made = folder.absolute()
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in made.glob("*.db"):
            left.unlink(missing_ok=True)
    os.environ[VARIABLE] = str(made)
    return made


def remove(folder: Path) -> None:
    """Delete what `prepare` made, when no worker is left."""
    if os.environ.get(VARIABLE) == str(folder):
        del os.environ[VARIABLE]
    shutil.rmtree(folder, ignore_errors=True)


def shared() -> Path | None:
    """The folder of this process's metrics; None when it keeps them to itself."""
    name = os.environ.get(VARIABLE)
    return Path(name) if name else None


def forget(pid: int, folder: Path | None = None) -> None:
    """A worker has ended: what it had under way counts no longer. What it counted stays, added up in one file for all
    that are gone, so that workers that come and go do not fill the folder.
    """
    folder = folder or shared()
    if folder is None or not folder.is_dir():
        return
    with locked(folder, exclusive=True):
        for left in folder.glob(f"*_{pid}.db"):
            kind = left.name.partition("_")[0]
            if kind == "gauge":
                left.unlink(missing_ok=True)
            elif kind in _SUMMED and fcntl is not None:
                with suppress(*UNREADABLE):  # it was killed while it wrote
                    _add_up(left, folder / f"{kind}_{_GONE}.db")
                left.unlink()


def forget_dead(folder: Path) -> None:
    """Forget every worker that is no longer there."""
    ends = (path.stem.rpartition("_")[2] for path in folder.glob("*.db"))
    for pid in {int(end) for end in ends if end.isdecimal()} - {os.getpid()}:
        if not _is_alive(pid):
            forget(pid, folder)


@contextmanager
def locked(folder: Path, *, exclusive: bool = False) -> Iterator[None]:
    """While files are read nobody adds any up, and the other way round."""
    if fcntl is None:
        yield
        return
    with (folder / _LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield  # closing the file gives it back


def _add_up(source: Path, target: Path) -> None:
    files: Any = import_module("prometheus_client.mmap_dict")
    sums = files.MmapedDict(str(target))
    try:
        for key, value, _, _ in files.MmapedDict.read_all_values_from_file(str(source)):
            so_far, _ = sums.read_value(key)
            sums.write_value(key, so_far + value, 0.0)
    finally:
        sums.close()


def _is_alive(pid: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
