"""A real browser for the tests: Chromium without a window, driven over the DevTools protocol, gone when the test is."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

from websockets.sync.client import connect

from tests.programs import path_by

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from websockets.sync.client import ClientConnection

START_S = 60.0
WAIT_S = 20.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)


def require_chromium() -> Path:
    """The browser that `scripts/chromium.sh` finds; skips the calling test, with the script's reason, where none is."""
    return path_by("chromium.sh", "--no-get", "to get one")


class Browser:
    """A browser with a profile of its own in `folder`; `page` opens a tab that shares nothing with the others."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: ClientConnection | None = None
        self._ending = ExitStack()
        self._last = 0
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        profile = self._folder / "profile"
        with (self._folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._binary, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "HOME": str(self._folder)},
            )
        try:
            address = self._address(profile / "DevToolsActivePort")
            self._socket = self._ending.enter_context(connect(address, max_size=None, proxy=None))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        assert process is not None
        if self._socket is not None:
            with suppress(Exception):
                self.ask("Browser.close")
            self._ending.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10 if self._socket else 0)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def page(self, width: int = 1400, height: int = 1000, scheme: str = "light") -> Page:
        """A new tab, with storage of its own."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session, width, height, scheme)

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """The answer to a command of the protocol."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        assert self._socket is not None
        self._socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        deadline = time.monotonic() + WAIT_S
        while (answer := self._received(deadline)).get("id") != self._last:
            self._events.append(answer)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def events(self, session: str, *methods: str) -> list[dict[str, Any]]:
        """What a tab has told so far of some kinds."""
        return [each for each in self._events if each.get("sessionId") == session and each["method"] in methods]

    def _received(self, deadline: float) -> dict[str, Any]:
        assert self._socket is not None
        found: dict[str, Any] = json.loads(self._socket.recv(timeout=max(deadline - time.monotonic(), 0.01)))
        return found

    def _address(self, file: Path) -> str:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._process is not None
            lines = file.read_text().split() if file.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"Chromium did not start:\n{(self._folder / 'chromium.log').read_text()[-2000:]}")


class Page:
    """A tab."""

    def __init__(self, browser: Browser, session: str, width: int, height: int, scheme: str) -> None:
        self._browser = browser
        self._session = session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.tell("Emulation.setScrollbarsHidden", hidden=True)
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def tell(self, method: str, **parameters: Any) -> Any:
        """The answer to a command about this tab."""
        return self._browser.ask(method, self._session, **parameters)

    def open(self, url: str) -> None:
        """Go to an address, and wait until all of it is there."""
        found = self.tell("Page.navigate", url=url)
        assert "errorText" not in found, found
        self.until("location.protocol !== 'about:' && document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is; what it promises is waited for."""
        found = self.tell("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression: str, holds: Callable[[Any], Any] = bool) -> Any:
        """What an expression is as soon as that will do."""
        deadline = time.monotonic() + WAIT_S
        while not holds(value := self.value(expression)):
            if time.monotonic() > deadline:
                raise AssertionError(f"{expression} stays {value!r}; the console: {self.troubles()}")
            time.sleep(0.02)
        return value

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let it go."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.tell("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.tell("Input.dispatchKeyEvent", type="keyUp", **about)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.tell("Input.insertText", text=text)

    def troubles(self) -> list[str]:
        """What the console has of errors and warnings, and what scripts have thrown."""
        self.value("0")  # everything before the answer has come by then
        found = []
        for event in self._browser.events(
            self._session, "Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"
        ):
            about = event["params"]
            level = about.get("entry", {}).get("level") or about.get("type") or "error"
            if level in ("error", "warning"):
                found.append(json.dumps(about)[:500])
        return found

    def hosts(self) -> set[str]:
        """Where the tab has asked for anything."""
        sent = self._browser.events(self._session, "Network.requestWillBeSent")
        return {"/".join(each["params"]["request"]["url"].split("/")[:3]) for each in sent}

    def picture(self, file: Path) -> None:
        """Write the whole page as a picture."""
        found = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(found["data"]))
