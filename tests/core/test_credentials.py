"""A vendor's key is seen on its way to anybody else, and nowhere where it belongs."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core import credentials
from llmtrace_sdk.core.credentials import (
    GATEWAYS,
    HEADERS,
    OWNERS,
    PREFIXES,
    CredentialGuard,
    CredentialOptions,
    Egress,
    GuardMode,
    egress,
)
from llmtrace_sdk.core.hosts import canonical, is_private
from llmtrace_sdk.core.model import Severity
from llmtrace_sdk.families import RawHeaders
from llmtrace_sdk.providers import _hosts
from llmtrace_sdk.typing import RequestHead

REST = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4"
HOMES = {
    "anthropic": "api.anthropic.com",
    "openai": "api.openai.com",
    "openrouter": "openrouter.ai",
    "google": "generativelanguage.googleapis.com",
    "groq": "api.groq.com",
    "x_ai": "api.x.ai",
    "huggingface": "router.huggingface.co",
    "replicate": "api.replicate.com",
    "perplexity": "api.perplexity.ai",
    "cerebras": "api.cerebras.ai",
    "nvidia": "integrate.api.nvidia.com",
    "together": "api.together.xyz",
    "fireworks": "api.fireworks.ai",
    "jina": "api.jina.ai",
    "vercel": "ai-gateway.vercel.sh",
    "aws.bedrock": "bedrock-runtime.us-east-1.amazonaws.com",
    "github": "models.github.ai",
}
ELSEWHERE = ("other provider", "unknown host", "plaintext")


def owner(host: str) -> str | None:
    """Whose host it is, by the table of hosts."""
    if f".{host}".endswith(".openai.com"):
        return "openai"
    if f".{host}".endswith(".googleapis.com"):
        return "gcp"
    found = _hosts.provider_name(host, None, "/")
    return None if found == _hosts.DEFAULT else found


def head(host: str, key: str, *, header: str = "authorization", scheme: str = "https", bearer: str = "") -> RequestHead:
    fields = [(header.encode(), f"{bearer}{key}".encode("latin-1", "replace"))]
    return RequestHead("POST", scheme, host, None, "/v1/chat/completions", RawHeaders(fields))


def seen(host: str, key: str, options: CredentialOptions | None = None, **more: Any) -> str | None:
    found = egress(head(host, key, **more), owner, options)
    return found.host_class if found else None


def test_every_owner_has_hosts_in_the_table() -> None:
    known = {*_hosts.DOMAINS.values(), *(name for _, _, name in _hosts.REGIONAL), "gcp"}
    for name in {*PREFIXES.values(), *GATEWAYS}:
        assert OWNERS.get(name, {name}) & known, name
    assert set(OWNERS) <= set(PREFIXES.values())
    assert set(PREFIXES.values()) == set(HOMES)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("bearer", ["Bearer ", "bearer  ", "Token ", ""])
def test_a_key_is_told_and_may_go_home(prefix: str, bearer: str) -> None:
    owned = PREFIXES[prefix]
    for whose, host in HOMES.items():
        expected = None if whose == owned else Egress(owned, "other provider")
        assert egress(head(host, prefix + REST, bearer=bearer), owner) == expected
    assert egress(head("gateway.example.com", prefix + REST, bearer=bearer), owner) == Egress(owned, "unknown host")


@pytest.mark.parametrize("header", HEADERS)
def test_it_is_seen_in_each_header(header: str) -> None:
    assert seen("api.openai.com", f"sk-ant-{REST}", header=header) == "other provider"
    assert seen("api.anthropic.com", f"sk-ant-{REST}", header=header) is None


def test_the_second_of_two_headers_and_of_two_values_is_seen() -> None:
    fields = [
        (b"X-Api-Key", b"none"),
        (b"Authorization", b"Basic abc"),
        (b"authorization", f"Bearer gsk_{REST}".encode()),
    ]
    two = RequestHead("POST", "https", "api.openai.com", None, "/", RawHeaders(fields))
    assert egress(two, owner) == Egress("groq", "other provider")
    assert seen("api.openai.com", f"none,gsk_{REST}") == "other provider"


def test_the_old_keys_of_openai_are_told_by_their_mark() -> None:
    old = f"sk-{REST}T3BlbkFJ{REST}"
    assert seen("api.openai.com", old) is None
    assert seen("api.deepseek.com", old) == "other provider"


@pytest.mark.parametrize(
    "key",
    [
        f"sk-{REST}",
        "sk-" + "0123456789abcdef" * 2,
        f"sk-or-{REST}",
        f"sk-lf-{REST}",
        f"sk-anthem-{REST}",
        f"SK-ANT-{REST}",
        f"pa-{REST}",
        f"co-{REST}",
        "sk-ant-test",
        "hf_token",
        "gsk_dummy",
        "sk-ant-",
        "none",
        "",
        f"eyJhbGciOi.{REST}.{REST}",
        f"AWS4-HMAC-SHA256 Credential=AKIA{REST}/20250101/us-east-1/bedrock/aws4_request, Signature={REST}",
        f"Basic {REST}",
        f"Bearerx-sk-ant-{REST}",
    ],
)
def test_what_tells_nobody_raises_no_alarm(key: str) -> None:
    for host in ("api.deepseek.com", "gateway.example.com", "openrouter.ai", "api.openai.com"):
        assert seen(host, key) is None
        assert seen(host, key, bearer="Bearer ", scheme="http") is None


@pytest.mark.parametrize(
    "host",
    [
        "api.openai.com.evil.example",
        "api-openai.com",
        "openai.com.co",
        "evil.example",
        "8.8.8.8",
        "172.32.0.1",
        "2606:4700::1111",
        "010.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "xn--penai-9ra.com",
    ],
)
def test_hosts_that_only_look_right_are_unknown(host: str) -> None:
    assert seen(host, f"sk-proj-{REST}") == "unknown host"


@pytest.mark.parametrize("host", ["API.OpenAI.com", "api.openai.com.", "eu.api.openai.com"])
def test_one_host_has_many_spellings(host: str) -> None:
    assert seen(host, f"sk-proj-{REST}") is None


@pytest.mark.parametrize("host", sorted(GATEWAYS))
def test_gateways_pass_keys_on(host: str) -> None:
    domain = next(d for d, name in _hosts.DOMAINS.items() if name == host)
    assert seen(f"gateway.{domain}", f"sk-ant-{REST}") is None
    assert seen(f"gateway.{domain}", f"sk-ant-{REST}", scheme="http") == "plaintext"


@pytest.mark.parametrize("host", [*HOMES.values(), "gateway.example.com", "8.8.8.8"])
def test_no_key_travels_unencrypted_in_public(host: str) -> None:
    for prefix in PREFIXES:
        assert seen(host, prefix + REST, scheme="http") == "plaintext"


PRIVATE = [
    "localhost",
    "api.localhost",
    "127.0.0.1",
    "127.9.9.9",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "::1",
    "[::1]",
    "fe80::1%eth0",
    "fd00::1",
    "::ffff:10.0.0.1",
    "litellm",
    "llm.svc.cluster.local",
    "host.docker.internal",
    "gateway.corp",
]


@pytest.mark.parametrize("host", PRIVATE)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_private_hosts_count_only_when_it_is_strict(host: str, scheme: str) -> None:
    key, strict = f"sk-proj-{REST}", CredentialOptions(strict=True)
    assert seen(host, key, scheme=scheme) is None
    assert seen(host, key, strict, scheme=scheme) == "unknown host"
    listed = CredentialOptions(strict=True, allowed_hosts=(canonical(host),))
    assert seen(host, key, listed, scheme=scheme) is None


@pytest.mark.parametrize(
    ("pattern", "host", "scheme", "expected"),
    [
        ("*.example.com", "llm.example.com", "https", None),
        ("*.EXAMPLE.com", "LLM.example.com.", "https", None),
        ("*.example.com", "example.com", "https", "unknown host"),
        ("*.example.com", "llm.example.com.evil", "https", "unknown host"),
        ("*.example.com", "llm.example.com", "http", "plaintext"),
        ("http://*.example.com", "llm.example.com", "http", None),
        ("http://*.example.com", "llm.example.com", "https", None),
        ("http://*.example.com", "other.example", "http", "plaintext"),
        ("api.groq.com", "api.groq.com", "https", None),
        ("*", "anywhere.example", "https", None),
        ("*", "anywhere.example", "http", "plaintext"),
    ],
)
def test_allowed_hosts(pattern: str, host: str, scheme: str, expected: str | None) -> None:
    options = CredentialOptions(allowed_hosts=(pattern,))
    assert seen(host, f"sk-ant-{REST}", options, scheme=scheme) == expected


def test_what_follows() -> None:
    request = head("api.openai.com", f"sk-ant-{REST}", header="x-api-key")
    modes: tuple[GuardMode, ...] = ("flag", "block")
    for mode in modes:
        guard = CredentialGuard(CredentialOptions(mode=mode), owner)
        finding = guard.finding(request)
        assert finding is not None
        assert guard.verdict(finding, shadow=False)[:3] == (mode, "credential_egress.high", (finding,))
        shadowed = guard.verdict(finding, shadow=True)
        assert (shadowed.action, shadowed.shadowed) == ("log", mode)
    assert CredentialGuard(CredentialOptions(mode="off"), owner).finding(request) is None


def test_a_finding_says_whose_key_and_where_to_and_nothing_of_the_key() -> None:
    guard = CredentialGuard(CredentialOptions(), owner)
    finding = guard.finding(head("gateway.example.com", f"sk-ant-{REST}"))
    assert finding is not None
    assert (finding.type, finding.rule) == ("credential_egress", "credential_egress.anthropic.unknown_host")
    assert (finding.severity, finding.category) == (Severity.HIGH, "sensitive_info_disclosure")
    assert (finding.detector, finding.pointer, finding.phase) == ("credential_guard", "", "input")
    assert not any(REST[at : at + 4] in repr(finding) for at in range(len(REST) - 3))
    assert "example" not in repr(finding)


@pytest.mark.parametrize(
    "pattern", ["", "http://", "https://gw.example.com", "gw.example.com:8443", "gw.example.com/v1"]
)
def test_patterns_that_are_no_hosts(pattern: str) -> None:
    (problem,) = CredentialOptions(allowed_hosts=("fine.example", pattern)).problems()
    assert problem.startswith("credential_guard.allowed_hosts[1]: ")


def test_patterns_that_are_hosts() -> None:
    fine = ("*.example.com", "http://10.0.0.?", "fd00::1", "gw[0-9].example.com", "*")
    assert CredentialOptions(allowed_hosts=fine).problems() == []


def test_memory_is_bounded() -> None:
    guard = CredentialGuard(CredentialOptions(), owner)
    for number in range(2000):
        guard.egress(head(f"{'x' * 2000}.{number}.example", f"sk-ant-{REST}"))
    assert guard._class_of.cache_info().currsize == credentials._HOSTS_KEPT


@given(st.text(), st.text(), st.sampled_from(["http", "https", ""]), st.sampled_from(["", *PREFIXES, "sk-"]))
def test_it_never_raises(host: str, rest: str, scheme: str, prefix: str) -> None:
    found = egress(head(host, prefix + rest, scheme=scheme), owner)
    assert found is None or (found.credential in PREFIXES.values() and found.host_class in ELSEWHERE)


@given(st.sampled_from(["k ", ",", " ", "sk-ant-", "gsk_", "Bearer ", "T3BlbkFJ"]), st.integers(1, 200_000))
def test_long_values_are_cut(piece: str, count: int) -> None:
    found = egress(head("api.openai.com", piece * count), owner)
    cut = egress(head("api.openai.com", (piece * count)[: credentials.LONGEST_VALUE]), owner)
    assert (found and found.credential) == (cut and cut.credential)


@given(st.ip_addresses(v=4))
def test_addresses_are_private_as_the_registry_says(address: ipaddress.IPv4Address) -> None:
    _agrees(address)


@pytest.mark.parametrize("first", ["9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"])
def test_the_edges_of_networks_are_public(first: str) -> None:
    assert not is_private(first)


@given(st.sampled_from(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8"]), st.integers(0, 2**24))
def test_all_of_a_network_is_private(network: str, number: int) -> None:
    inside = ipaddress.ip_network(network)
    assert is_private(str(inside[number % inside.num_addresses]))


def _agrees(address: ipaddress.IPv4Address) -> None:
    if is_private(str(address)):
        assert not address.is_global
    elif not address.is_global:  # documentation, benchmarking, multicast and reserved ones are nobody's own
        assert not any(address in ipaddress.ip_network(net) for net in ("10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16"))


@given(st.ip_addresses(v=6))
def test_no_public_address_is_taken_for_private(address: ipaddress.IPv6Address) -> None:
    if address.is_global:
        assert not is_private(canonical(str(address)))
