"""A vendor's key goes to that vendor's hosts, over TLS, and nowhere else.

Whose key it is is told by its published prefix alone, the longest that fits: told are the keys of `PREFIXES`, and keys
of OpenAI of the older form by the mark inside them. Not told are keys that have no prefix (Azure, Cohere, Mistral,
DeepSeek, Moonshot and many more, of which several begin with a bare `sk-`), passwords, and what AWS signs with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from msgspec import Struct

from llmtrace_sdk.core import wildcards
from llmtrace_sdk.core.hosts import LONGEST_HOST, canonical, is_private
from llmtrace_sdk.core.model import Finding, Severity
from llmtrace_sdk.core.policy import Verdict

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from llmtrace_sdk.typing import RequestHead

GuardMode = Literal["off", "flag", "block"]
HostClass = Literal["other provider", "unknown host", "plaintext"]

HEADERS: Final = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
LONGEST_VALUE: Final = 4096
SHORTEST_REST: Final = 16
"""Characters after the prefix: what is shorter is a name or a stand-in."""

PREFIXES: Final[dict[str, str]] = {
    "sk-ant-": "anthropic",
    "sk-proj-": "openai",
    "sk-svcacct-": "openai",
    "sk-admin-": "openai",
    "sk-None-": "openai",
    "sk-or-v1-": "openrouter",
    "AIza": "google",
    "ya29.": "google",
    "gsk_": "groq",
    "xai-": "x_ai",
    "hf_": "huggingface",
    "api_org_": "huggingface",
    "r8_": "replicate",
    "pplx-": "perplexity",
    "csk-": "cerebras",
    "nvapi-": "nvidia",
    "tgp_v1_": "together",
    "fw_": "fireworks",
    "jina_": "jina",
    "vck_": "vercel",
    "ABSK": "aws.bedrock",
    "bedrock-api-key-": "aws.bedrock",
    "github_pat_": "github",
    "ghp_": "github",
    "gho_": "github",
    "ghu_": "github",
    "ghs_": "github",
}
OLD_OPENAI: Final = ("sk-", "T3BlbkFJ")
"""What keys of OpenAI begin with, and what they had in their middle before they had a prefix of their own."""

OWNERS: Final[dict[str, frozenset[str]]] = {
    "google": frozenset({"gcp", "gcp.gemini", "gcp.vertex_ai"}),
    "github": frozenset({"github", "azure.ai.inference"}),
}
"""Whose hosts a key may go to, where that is not the one of the same name."""

GATEWAYS: Final = frozenset({"cloudflare", "helicone", "portkey"})
"""Those who are sent their customers' keys of other vendors, to pass them on."""

DETECTOR: Final = "credential_guard"
FINDING_TYPE: Final = "credential_egress"
_CATEGORY: Final = "sensitive_info_disclosure"
_PLAIN: Final = "http://"
_ENCRYPTED: Final = ("https", "wss")
_HOSTS_KEPT: Final = 512

_Allowed = tuple[tuple["re.Pattern[str]", bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialOptions:
    """What happens to a call that would give a vendor's key to somebody else.

    `mode`: nothing (`off`), the call is flagged (`flag`) or refused (`block`), whatever `enforcement.mode` says.
    `allowed_hosts`: shell-style patterns of hosts that may get any key, such as a gateway of your own; only one that
    begins with `http://` allows it to travel unencrypted. `strict`: also hosts of this machine or of a private network
    must be allowed.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    mode: GuardMode = "flag"
    allowed_hosts: tuple[str, ...] = ()
    strict: bool = False

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        found = []
        for number, pattern in enumerate(self.allowed_hosts):
            place, host = f"credential_guard.allowed_hosts[{number}]", pattern.removeprefix(_PLAIN)
            if not host:
                found.append(f"{place}: {pattern!r} names no host; give a pattern such as *.example.com")
            elif "/" in host or ("]" not in host and host.count(":") == 1):
                found.append(f"{place}: {pattern!r} is no host; leave out the port and the path, and https://")
        return found


class Egress(Struct, frozen=True):
    """A key on its way to where it does not belong: whose it is (`anthropic`, ...), and what is wrong with the host."""

    credential: str
    host_class: HostClass


class CredentialGuard:
    """Watches requests under some options, which must be without `problems()`.

    `provider_of_host` says whose a host is (in lower case), as the value of gen_ai.provider.name or a name that
    `OWNERS` knows; None when nobody knows.
    """

    __slots__ = ("_class_of", "options")

    def __init__(self, options: CredentialOptions, provider_of_host: Callable[[str], str | None]) -> None:
        self.options = options
        allowed = tuple(
            (wildcards.compiled(pattern.removeprefix(_PLAIN).lower()), pattern.startswith(_PLAIN))
            for pattern in options.allowed_hosts
        )

        def class_of(credential: str, scheme: str, host: str) -> HostClass | None:
            return _class_of(credential, scheme, canonical(host), allowed, provider_of_host, strict=options.strict)

        self._class_of = lru_cache(_HOSTS_KEPT)(class_of)

    def egress(self, head: RequestHead) -> Egress | None:
        """The first key in the head that should not go to its host. Linear in at most `LONGEST_VALUE` characters."""
        get = head.headers.get
        for name in HEADERS:
            value = get(name)
            if value is not None:
                for word in _words(value):
                    if word[:3] in _BY_START and (found := self._of(word, head)) is not None:
                        return found
        return None

    def finding(self, head: RequestHead) -> Finding | None:
        """The finding about a request; nothing of the key is in it."""
        egress = self.egress(head) if self.options.mode != "off" else None
        return None if egress is None else _finding(egress)

    def _of(self, word: str, head: RequestHead) -> Egress | None:
        credential = owner_of(word)
        if credential is None:
            return None
        host_class = self._class_of(credential, head.scheme, head.host[-LONGEST_HOST:])
        return None if host_class is None else Egress(credential, host_class)

    def verdict(self, finding: Finding, *, shadow: bool) -> Verdict:
        """What follows from it: what the mode says, and in shadow mode only that it would have."""
        mode = self.options.mode
        asked: Literal["flag", "block"] = "block" if mode == "block" else "flag"
        reason = f"{finding.type}.{finding.severity.label}"
        return Verdict("log", reason, (finding,), asked) if shadow else Verdict(asked, reason, (finding,))


def egress(
    head: RequestHead, provider_of_host: Callable[[str], str | None], options: CredentialOptions | None = None
) -> Egress | None:
    """As `CredentialGuard.egress`, for one request."""
    return CredentialGuard(options or CredentialOptions(), provider_of_host).egress(head)


def _words(value: str) -> list[str]:
    """The words of a header's value: a scheme, a key, and several of both where a header came twice."""
    cut = value[:LONGEST_VALUE]
    return (cut.replace(",", " ") if "," in cut else cut).split()


def owner_of(key: str) -> str | None:
    """Whose key it is, by its prefix; None when it has none that tells."""
    for prefix, owner in _BY_START.get(key[:3], ()):
        if key.startswith(prefix):
            return owner if len(key) >= len(prefix) + SHORTEST_REST else None
    start, mark = OLD_OPENAI  # `start` is where other prefixes start too
    return "openai" if key.startswith(start) and mark in key[:LONGEST_VALUE] else None


def _by_start() -> dict[str, tuple[tuple[str, str], ...]]:
    """The prefixes by their first three characters, longest first."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for prefix, owner in sorted(PREFIXES.items(), key=lambda item: -len(item[0])):
        found[prefix[:3]] = (*found.get(prefix[:3], ()), (prefix, owner))
    return found


_BY_START: Final = _by_start()


def _class_of(
    credential: str,
    scheme: str,
    host: str,
    allowed: _Allowed,
    provider_of_host: Callable[[str], str | None],
    *,
    strict: bool,
) -> HostClass | None:
    """What is wrong with a host; None when nothing is."""
    permits = [unencrypted for pattern, unencrypted in allowed if pattern.fullmatch(host)]
    private = is_private(host)
    if scheme not in _ENCRYPTED and not private and not any(permits):
        return "plaintext"
    if permits:
        return None
    if private:
        return "unknown host" if strict else None
    owner = provider_of_host(host)
    if owner is None:
        return "unknown host"
    fits = owner in GATEWAYS or owner in OWNERS.get(credential, (credential,))
    return None if fits else "other provider"


def _finding(egress: Egress) -> Finding:
    return Finding(
        type=FINDING_TYPE,
        rule=f"{FINDING_TYPE}.{egress.credential}.{egress.host_class.replace(' ', '_')}",
        severity=Severity.HIGH,
        confidence=1.0,
        start=0,
        end=0,
        channel="system",
        phase="input",
        detector=DETECTOR,
        category=_CATEGORY,
    )
