from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core import vault as vaults
from llmtrace_sdk.core.model import Finding, Severity
from llmtrace_sdk.core.splice import applied
from llmtrace_sdk.core.vault import PLACEHOLDER, Vault, kind_of, live_from, replacements, restored
from llmtrace_sdk.detectors import _rules

KINDS = st.from_regex(r"\A[A-Z][A-Z0-9_]{0,39}\Z")
ANYTHING = st.text(st.characters(), max_size=40)


def named(vault: Vault, value: str, kind: str = "EMAIL_ADDRESS") -> str:
    name = vault.placeholder(value, kind)
    assert name is not None
    return name


@given(ANYTHING, KINDS)
def test_there_and_back(value: str, kind: str) -> None:
    vault = Vault(b"key")
    name = named(vault, value, kind)
    assert PLACEHOLDER.fullmatch(name.encode())
    assert name.startswith(f"[{kind}_")
    assert len(name) <= vaults.LONGEST
    assert named(vault, value, kind) == name
    assert named(Vault(b"key"), value, kind) == name
    assert named(Vault(b"other"), value, kind) != name
    assert vault.original(name) == value
    assert len(vault) == 1


def test_kinds_and_values_do_not_run_into_each_other() -> None:
    vault = Vault(b"key")
    names = {named(vault, value, kind)[-11:] for kind, value in (("A", "BC"), ("AB", "C"), ("ABC", ""), ("A", "B"))}
    assert len(names) == 4


@pytest.mark.parametrize("kind", ["", "e-mail", "9lives", "ü", "x" * 60, "[", "A B\n"])
def test_an_odd_kind_still_makes_a_placeholder(kind: str) -> None:
    assert PLACEHOLDER.fullmatch(named(Vault(b"key"), "v", kind).encode())


def test_a_full_vault_keeps_what_it_has() -> None:
    vault = Vault(b"key", limit=2)
    first = named(vault, "a")
    named(vault, "b")
    assert vault.placeholder("c", "EMAIL_ADDRESS") is None
    assert named(vault, "a") == first
    assert len(vault) == 2


def test_the_room_for_values_is_bounded() -> None:
    vault = Vault(b"key")
    assert sum(vault.placeholder(f"{at}" + "x" * 2_000_000, "A") is not None for at in range(10)) == 5


def test_what_is_in_the_text_already_is_never_made() -> None:
    taken = named(Vault(b"key"), "a")
    second = Vault(b"key")
    second.reserve(f"x{taken}y [{taken}]")
    other = named(second, "a")
    assert other != taken
    assert second.original(taken) is None
    third = Vault(b"key")
    third.reserve(other)
    third.reserve(taken)
    again = named(third, "a")
    assert again not in (taken, other)
    assert named(second, "a") == other


def test_reserving_too_many_makes_it_full_and_what_it_made_stays() -> None:
    vault = Vault(b"key", limit=3)
    name = named(vault, "a")
    for at in range(50):
        vault.reserve(f"{named(Vault(b'other'), str(at))}\ud800")
        vault.reserve(name)
    assert vault.placeholder("new", "A") is None
    assert named(vault, "a") == name
    assert vault.original(name) == "a"


def test_a_collision_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Vault._digest
    monkeypatch.setattr(Vault, "_digest", lambda s, k, v, draw: real(s, k, v, draw) if draw else "A" * 10)
    vault = Vault(b"key")
    names = [named(vault, value) for value in "abc"]
    assert len(set(names)) == 3
    assert [vault.original(name) for name in names] == list("abc")
    monkeypatch.setattr(Vault, "_digest", lambda *_: "A" * 10)
    assert vault.placeholder("d", "EMAIL_ADDRESS") is None


def test_threads_agree() -> None:
    vault = Vault(b"key")
    found: list[list[str]] = []
    gate = threading.Barrier(8)

    def work() -> None:
        gate.wait()
        found.append([named(vault, str(at)) for at in range(300)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(vault) == 300
    assert all(names == found[0] for names in found)
    assert len(set(found[0])) == 300


@given(st.lists(ANYTHING | st.integers(0, 3), max_size=8))
def test_restored_puts_every_known_one_back(pieces: list[str | int]) -> None:
    vault = Vault(b"key")
    originals = ["a@b.c", named(Vault(b"key"), "a@b.c"), 'x"\\\n\ud83d', "[EMAIL_ADDRESS_"]
    text = "".join(p if isinstance(p, str) else named(vault, originals[p]) for p in pieces)
    said = "".join(p if isinstance(p, str) else originals[p] for p in pieces)
    assert restored(text, vault) == said
    assert applied(text, replacements(text, vault)) == said


def test_unknown_ones_stay() -> None:
    text = f"{named(Vault(b'other'), 'a')} [EMAIL_ADDRESS_short] [x]"
    assert restored(text, Vault(b"key")) is text


@given(ANYTHING)
def test_inside_json_source_the_original_is_escaped(value: str) -> None:
    vault = Vault(b"key")
    assert json.loads(restored(f'{{"a":"{named(vault, value)}"}}', vault, escape=True)) == {"a": value}


def test_live_from_every_cut_of_a_placeholder() -> None:
    for kind in ("A", "A_B", "SECRET_A2_7", "A" * 40, "A_" * 20, "_".join(["A", "B" * 38])):
        name = named(Vault(b"key"), "v", kind)
        text = f"[[x] {name}"
        for end in range(6, len(text)):
            assert live_from(text[:end], 0) == 5
            assert live_from(text[:end], 5) == 5
            assert live_from(text[:end], 6) == end
        assert live_from(text[:5], 0) == 5
        assert live_from(text, 0) == len(text)


@pytest.mark.parametrize(
    "end", ["", "[a", "[1", "[A-", "[A ", "[" + "A" * 41, "[A_" + "B" * 38 + "_" + "A" * 11, "["[:0]]
)
def test_what_cannot_become_one_is_not_live(end: str) -> None:
    assert live_from(f"x{end}", 0) == len(end) + 1


@given(st.text("[]A_B2x", max_size=80), st.integers(0, 80))
def test_live_from_is_exact(text: str, start: int) -> None:
    def may_become(piece: str) -> bool:
        return any(PLACEHOLDER.fullmatch((piece + more).encode("utf-8", "surrogatepass")) for more in MORE)

    at = live_from(text, start)
    expected = next((i for i in range(start, len(text)) if may_become(text[i:])), len(text))
    assert at == expected


# Every way in which a beginning can be completed, by length of the label and of the digest that are missing.
MORE = [f"{'A' * label}{'_' * joint}{'A' * digest}]" for label in (0, 1, 2) for joint in (0, 1) for digest in range(11)]


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("pii.email", "EMAIL_ADDRESS"),
        ("pii.us_ssn_unseparated", "US_SSN"),
        ("pii.ipv6_address_private", "IP_ADDRESS"),
        ("pii.phone_labelled", "PHONE_NUMBER"),
        ("secret.openai_key", "SECRET_OPENAI_KEY"),
        ("secret.ethereum_private_key", "SECRET_ETHEREUM_PRIVATE_KEY"),
        ("secret.github_token_verified", "SECRET_GITHUB_TOKEN"),
        ("secret." + "long" * 20, "SECRET_" + ("LONG" * 20)[:33]),
    ],
)
def test_kinds_are_named_after_rules(rule: str, kind: str) -> None:
    assert kind_of(Finding("pii_detected", rule, Severity.LOW, 1.0, 0, 1)) == kind


@pytest.mark.parametrize(
    ("finding_type", "kind"),
    [
        ("pii_detected", "PII"),
        ("secret_leakage", "SECRET"),
        ("credential_x", "SECRET_CREDENTIAL_X"),
        ("canary_token_leakage", "CANARY_TOKEN"),
        ("", "DATA"),
        ("ümlaut", "MLAUT"),
    ],
)
def test_kinds_of_other_rules_are_named_after_types(finding_type: str, kind: str) -> None:
    assert kind_of(Finding(finding_type, "something.own", Severity.LOW, 1.0, 0, 1)) == kind


@pytest.mark.parametrize("finding_type", ["pii_detected", "secret_leakage"])
def test_the_kind_of_every_shipped_rule_is_one_word(finding_type: str) -> None:
    for rule in _rules.load(finding_type):
        kind = kind_of(Finding(finding_type, rule.id, Severity.LOW, 1.0, 0, 1))
        assert vaults._KIND.fullmatch(kind)
        assert kind.startswith("SECRET_") == (finding_type == "secret_leakage")
