"""Personal numbers, addresses of machines and wallets, telephone numbers, dates of birth."""

from __future__ import annotations

import re
from importlib import import_module
from ipaddress import IPv4Address
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_sdk import detectors
from llmtrace_sdk.core.model import Segment, Severity
from llmtrace_sdk.core.patterns import python_syntax
from llmtrace_sdk.core.scan import Engine
from llmtrace_sdk.detectors import _pii_ids, _pii_phones, _rules, pii_detected
from llmtrace_sdk.detectors._checksums import base58check, bech32, eip55, keccak256
from llmtrace_sdk.errors import ConfigError

ENGINE: Final = Engine([pii_detected.build()])
RULES: Final = {rule.id: rule for rule in _rules.load("pii_detected")}
with_plans = pytest.mark.skipif(not _pii_phones.installed(), reason="needs the extra `phone`")


def found(text: str) -> dict[str, str]:
    """Matched texts by rule."""
    report = ENGINE.scan((Segment(text, "user", ""),), "input")
    assert report.failed == ()
    return {f.rule: text[f.start : f.end] for f in report.findings}


def numbered() -> list[Any]:
    """Every rule whose digits python-stdnum checks, with what it says of them."""
    return [
        pytest.param(rule, import_module(f"stdnum.{_pii_ids.KINDS[rule.check.removeprefix('id_')]}"), id=rule.id)
        for rule in RULES.values()
        if rule.check is not None and rule.check.startswith("id_") and rule.check != "id_card"
    ]


@pytest.mark.parametrize(("rule", "module"), numbered())
def test_a_personal_number_is_what_its_check_digits_say(rule: Any, module: Any) -> None:
    for example in rule.examples:
        value = found(example)[rule.id]
        before, _, after = example.partition(value)
        for place, digit in enumerate(value):
            if digit.isdigit():
                other = f"{value[:place]}{(int(digit) + 1) % 10}{value[place + 1 :]}"
                right = bool(module.is_valid(other)) and re.search(rule.pattern, before + other + after)
                assert (found(before + other + after).get(rule.id) == other) <= bool(right), other


@pytest.mark.parametrize(("rule", "module"), [each for each in numbered() if each.values[0].group])
def test_where_digits_alone_could_be_anything_a_word_has_to_name_them(rule: Any, module: Any) -> None:
    for example in rule.examples:
        value = found(example)[rule.id]
        for text in (value, f"ticket {value} was closed", f"we sold {value} of them"):
            assert rule.id not in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "ISBN 978-3-16-148410-0 and 0-306-40615-2",
        "order 123-4567890-1234567 shipped",
        "id 550e8400-e29b-41d4-a716-446655440000",
        "commit 3f9c1a7be05d42688e1b9f70c2d4a6e5aa01b2c3",
        "at 1700000000 and 1700000000123",
        "2026-01-02T03:04:05.123456+02:00",
        "v10.0.19045.3930, version 121.0.6167.85",
        "call 987 654 321",
        "order ids such as 12AB34567 or ABC123456",
        "3.141592653589793238",
        "range 100-200-3000, 1 200 000 people, $1,234,567.89",
        "telephone cables were laid in 1858 and 1866, 4000 km long",
        "Phone of the year 2023-05-01 12:30",
        "the number 536228714 is not prime",
        "1.2.3.4 is a section, 127.0.0.1 and 0.0.0.0 are home, 203.0.113.7 is for books",
        "net 84.113.7.0/24, mask 255.255.255.0, 224.0.0.251",
        "::1, std::vector::size, 12:30:45, 2001:db8::1:2:3",
        "ff:ff:ff:ff:ff:ff and 01:00:5e:00:00:fb and 00:00:00:00:00:00",
        "SHA256:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
        "icon@2x.png and git@github.com:llmtrace/llmtrace-sdk.git and a@b.c",
        "0x0000000000000000000000000000000000000000",
        "passport control at gate 9, passport CONTROLLED",
        "born on 14 March 1879, born to run, born in 1999",
        "a swift REPLYING bird; SWIFT: SECURITY first",
        "000000000 111111111 123456789 as BSN 111111110",
        "xxx-xx-xxxx, (xxx) xxx-xxxx, +1 XXX XXX XXXX",
        "+1000 points, C++11, x+1234567890123",
    ],
)
def test_what_only_looks_personal(text: str) -> None:
    assert found(text) == {}


@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        ("NHS no. 943 476 5919", "pii.uk_nhs", "943 476 5919"),
        ("NI: JG314762C", "pii.uk_nino", "JG314762C"),
        ("Steuer-ID\n", None, None),
        ("Meine Steuer-ID lautet 36 574 261 809.", "pii.de_idnr", "36 574 261 809"),
        ("passport no. C01X00T47", "pii.passport", "C01X00T47"),
        ("mon passeport 19AB34567", "pii.passport", "19AB34567"),
        ("My routing number is 021000021", "pii.us_routing_number", "021000021"),
        ("BIC: DEUTDEFF500", "pii.bic", "DEUTDEFF500"),
        ("DOB: 03/14/1987", "pii.date_of_birth", "03/14/1987"),
        ("fecha de nacimiento: 14 de marzo de 1987", "pii.date_of_birth", "14 de marzo de 1987"),
        ("生年月日: 1987年3月14日", "pii.date_of_birth", "1987年3月14日"),
        ("дата рождения 14.03.1987", "pii.date_of_birth", "14.03.1987"),
        ("she was born on March 14th, 1987", "pii.date_of_birth_told", "March 14th, 1987"),
    ],
)
def test_named_numbers_and_dates(text: str, rule: str | None, value: str | None) -> None:
    assert found(text) == ({rule: value} if rule else {})


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_what_an_address_is_called(address: IPv4Address) -> None:
    rules = found(f"from {address}, twice")
    if address.is_loopback or address.is_multicast or address.packed[0] in (0, 255) or address.packed[3] == 255:
        assert rules == {}
    elif address.is_global and any(octet > 9 for octet in address.packed):
        assert rules in (
            {"pii.ip_address": str(address)},
            {"pii.ip_address_private": str(address)},  # a public resolver
        )
    assert found(f"version {address}") == {}
    assert found(f"{address}.17") == {}


@pytest.mark.parametrize("text", ["192.168.1.20", "10.20.30.40", "172.16.9.9", "169.254.10.11", "8.8.8.8"])
def test_addresses_that_many_have_are_no_more_than_information(text: str) -> None:
    assert found(text) == {"pii.ip_address_private": text}
    assert RULES["pii.ip_address_private"].severity == Severity.INFO


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("2a00:1450:4009:81f::200e", "pii.ipv6_address"),
        ("6e40:4041:c617:e898:c11:40d2:c669:2eb4", "pii.ipv6_address"),
        ("fe80::1ff:fe23:4567:890a", "pii.ipv6_address_private"),
        ("3c:22:fb:9a:71:0e", "pii.mac_address"),
        ("3C-22-FB-9A-71-0E", "pii.mac_address"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "from {}.", "[{}]", "é ({}), twice"])
def test_other_addresses_of_machines(text: str, rule: str, around: str) -> None:
    assert found(around.format(text)) == {rule: text}


def test_checksums_of_wallets() -> None:
    # Test vectors of Keccak-256, EIP-55, BIP 173, BIP 350 and the first block's address.
    assert keccak256(b"").hex().startswith("c5d2460186f7233c")
    assert keccak256(b"a" * 500) != keccak256(b"a" * 501)
    assert eip55("fB6916095ca1df60bB79Ce92cE3Ea74c37c5d359")
    assert not eip55("fB6916095ca1df60bB79Ce92cE3Ea74c37c5D359")
    assert bech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
    assert bech32("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4")
    assert bech32("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0")
    assert not bech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5")
    assert not bech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kV8f3t4")
    assert base58check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa") is not None
    assert base58check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb") is None
    assert base58check("") is None
    assert base58check("0OIl") is None


@given(st.binary(min_size=20, max_size=20))
def test_an_address_of_ethereum_is_found_in_any_right_spelling(data: bytes) -> None:
    lower = data.hex()
    digest = keccak256(lower.encode()).hex()
    mixed = "".join(c.upper() if int(d, 16) >= 8 else c for c, d in zip(lower, digest, strict=False))
    expected = len(set(lower)) >= 6
    for spelled in (lower, mixed):
        assert (found(f"to 0x{spelled}!") == {"pii.ethereum_address": f"0x{spelled}"}) == expected
    wrong = mixed.swapcase()
    if mixed not in (mixed.lower(), mixed.upper()):
        assert found(f"to 0x{wrong}!") == {}


def test_a_flood_of_addresses_costs_no_flood_of_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    monkeypatch.setattr("llmtrace_sdk.detectors._pii_net.eip55", lambda digits: checked.append(digits) or True)
    found(" ".join(f"0xAbCdEf{number:034d}" for number in range(10**33, 10**33 + 900)))
    assert 1 <= len(checked) <= 64


@pytest.mark.parametrize(
    "address", ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"]
)
@pytest.mark.parametrize("around", ["{}", "send to {}.", "bitcoin:{}?amount=1", "({})"])
def test_wallets(address: str, around: str) -> None:
    assert found(around.format(address)) == {"pii.crypto_address": address}
    assert found(around.format(address[:-1] + ("a" if address[-1] != "a" else "c"))) == {}


@pytest.mark.parametrize(
    "number",
    [
        "+44 20 7183 8750",
        "+442071838750",
        "+1 (617) 253-1000",
        "+1-617-253-1000",
        "+49 (0)30 2844 1790",
        "+33 1 42 68 53 00",
        "+46 (0)8 928 571 38",
        "+91 98211 43257",
        "+351 21 342 1234",
        "+7 495 123 98 76",
        "0049 30 28441790",
        "(617) 253-1000",
        "(617)253-1000",
        "617-253-1000",
        "617.253.1000",
        "1-800-273-8255",
        "617-253-1000 x33",
        "617-253-1000 ext. 4421",
    ],
)
@pytest.mark.parametrize("around", ["{}", "dial {}!", "é, {}", "<{}>", "Fon {},"])
def test_clear_telephone_numbers(number: str, around: str) -> None:
    (rule,) = found(around.format(number)).items()
    assert rule[0].startswith("pii.phone_")
    assert rule[1] == number


@pytest.mark.parametrize(
    "text",
    [
        "phone: 0151 2345 8790",
        "Tel. 089 / 123 98 76",
        "call me at 617 253 1000",
        "my number is 07700 900 461",
        "Phone:\n0151 2345 8790",
        "téléphone : 01 42 68 53 00",
        "телефон: 8 495 123 98 76",
        "手机: 138 1234 9876",
        "020 7183 8750 (office)",
        "Mobile 6172531000",
    ],
)
def test_announced_telephone_numbers(text: str) -> None:
    (rule,) = found(text)
    assert rule in ("pii.phone_announced", "pii.phone_labelled", "pii.phone_national")


@pytest.mark.parametrize(
    "text", ["+1 117 253 1000", "+999 123 456 789", "+44 123", "+1 555 555 555 5555 5", "(117) 253-1000"]
)
def test_numbers_that_no_country_gives_out(text: str) -> None:
    assert not any(rule == "pii.phone_international" for rule in found(text))


@with_plans
def test_national_numbers_are_those_of_the_regions() -> None:
    detector = pii_detected.build(regions=["GB"])
    british, american = "it is 020 7183 8750 now", "it is 617 253 1000 now"
    rules = [f.rule for f in detector.detect(Segment(british, "user", ""), "input")]
    assert rules == ["pii.phone_national"]
    assert detector.detect(Segment(american, "user", ""), "input") == ()
    assert pii_detected.build(regions=["US"]).detect(Segment(american, "user", ""), "input")


@with_plans
def test_unknown_regions() -> None:
    with pytest.raises(ConfigError, match="unknown regions QQ"):
        detectors.build(["pii_detected"], pii_detected={"regions": ["GB", "QQ"]})


def test_without_plans_of_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pii_phones, "installed", lambda: False)
    monkeypatch.setitem(__import__("sys").modules, "phonenumbers", None)
    detector = pii_detected.build()
    assert all(rule.check != "national_phone" for rule in detector.rules)
    assert detector.detect(Segment("+44 20 7183 8750", "user", ""), "input")
    with pytest.raises(ConfigError, match=r"llmtrace-sdk\[phone\]"):
        pii_detected.build(regions=["GB"])


DIGITS: Final = st.text(alphabet="0123456789 ()+-./:xX@", max_size=40)


@settings(max_examples=300)
@given(st.sampled_from(sorted(RULES)), st.data())
def test_checks_never_raise_on_what_their_rules_match(rule_id: str, data: st.DataObject) -> None:
    rule = RULES[rule_id]
    text = data.draw(st.from_regex(re.compile(python_syntax(rule.pattern), re.ASCII)))
    assert all(found(text).values())
    check = pii_detected.CHECKS.get(rule.check or "")
    for match in re.finditer(python_syntax(rule.pattern), text):
        if check is not None:
            assert check(text, *match.span(rule.group)) in (True, False)


@given(DIGITS)
def test_any_row_of_digits_can_be_looked_at(text: str) -> None:
    whole = f"phone {text} born {text} passport {text}"
    assert ENGINE.scan((Segment(whole, "user", ""),), "input").failed == ()
