from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.iso7064 import mod_97_10

from .texts import findings, matches

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Phase

CARDS = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4222222222222",
    "5555 5555 5555 4444",
    "2221 0000 0000 0009",
    "3782 822463 10005",
    "378282246310005",
    "6011 1111 1111 1117",
    "3056 930902 5904",
    "3530111333300000",
    "6200000000000005",
    "180000000000002",
    "2131 000000 00001",
]
IBANS = [
    "DE89 3704 0044 0532 0130 00",
    "GB82 WEST 1234 5698 7654 32",
    "NL91ABNA0417164300",
    "NO93 8601 1117 947",
    "FR14 2004 1010 0505 0001 3M02 606",
    "BE68 5390 0754 7034",
    "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
    "ch93 0076 2011 6238 5295 7",
    "ES91 2100 0418 4502 0005 1332",
    "IT60 X054 2811 1010 0000 0123 456",
]


@pytest.mark.parametrize(
    "address",
    [
        "jane@example.org",
        "jane.roe+news@mail.example.co.uk",
        "o'neil@example.ie",
        "J_R-1%x@sub-domain.example.museum",
        "a@b.io",
        "zoe@münchen.de",
    ],
)
@pytest.mark.parametrize("around", ["{}", "<{}>,", "é{} ", "mailto:{}?subject=x", "({}).", "«{}»"])
def test_addresses(address: str, around: str) -> None:
    if around[0] == "é":
        around = "é " + around[1:]
    assert matches(around.format(address), "pii_detected") == {"pii.email": address}


@pytest.mark.parametrize(
    "text", ["@home", "a@b", "x@@y.org", "xxx@xxx.com", "****@example.org", "jane@", "me @ work.de"]
)
def test_no_addresses(text: str) -> None:
    assert findings(text) == ()


def test_a_sentence_ends_behind_an_address() -> None:
    assert matches("Write to jane@example.org.Thanks", "pii_detected") == {"pii.email": "jane@example.org.Thanks"}
    assert matches("Write to jane@example.org. Thanks", "pii_detected") == {"pii.email": "jane@example.org"}


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("around", ["{}", "card: {} 123 12/30", "é({})!", "{}\n{}"])
def test_cards(card: str, around: str) -> None:
    assert matches(around.replace("{}", card), "pii_detected") == {"pii.credit_card": card}


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "4444444444444444",
        "1234 5678 1234 5670",
        "7992739871300000",
        "411111111117",
        "411111111111111111111",
        "12-4111-1111-1111-1111",
        "4111-1111-1111-1111-5",
        "0.4111111111111111",
        "order/4111111111111111/9",
    ],
)
def test_no_cards(text: str) -> None:
    assert findings(text) == ()


def test_the_shortest_cards() -> None:
    assert matches("card 6304 0000 0000.", "pii_detected") == {"pii.credit_card": "6304 0000 0000"}


@given(st.sampled_from(["4", "51", "55", "2221", "6011", "65", "3528"]), st.integers(0, 10**15))
def test_every_card_with_a_right_check_digit_is_found_and_no_other(issuer: str, rest: int) -> None:
    body = (issuer + f"{rest:015d}")[:15]
    right = luhn.calc_check_digit(body)
    for digit in "0123456789":
        assert bool(matches(f"no {body}{digit}.", "pii_detected")) == (digit == right)


@pytest.mark.parametrize("text", ["536-22-8714", "536 22 8714", "SSN 536228714", "social security number: 536-22-8714"])
def test_social_security_numbers(text: str) -> None:
    assert [m.replace("-", "").replace(" ", "") for m in matches(text, "pii_detected").values()] == ["536228714"]
    (finding,) = findings(text)
    assert finding.confidence >= 0.9


@pytest.mark.parametrize(
    "text",
    [
        "000-22-8714",
        "666-22-8714",
        "900-22-8714",
        "536-00-8714",
        "536-22-0000",
        "123-45-6789",
        "987-65-4321",
        "111-11-1111",
        "078-05-1120",
        "536228714",
        "1536-22-8714",
        "536-22-87145",
        "12-536-22-8714",
        "536-22 8714",
        "xxx-xx-8714",
        "SSN 123456789",
    ],
)
def test_no_social_security_numbers(text: str) -> None:
    assert findings(text) == ()


@pytest.mark.parametrize("iban", IBANS)
@pytest.mark.parametrize("around", ["{}", "pay {} by Monday", "é{} AND THEN", "({})"])
def test_account_numbers(iban: str, around: str) -> None:
    around = around.replace("é", "é ")
    assert matches(around.format(iban), "pii_detected") == {"pii.iban": iban}


@pytest.mark.parametrize(
    "text", ["DE89 3704 0044 0532 0130 01", "US89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130", "GB82 TEST 1234"]
)
def test_no_account_numbers(text: str) -> None:
    assert findings(text) == ()


@given(st.integers(0, 10**18 - 1), st.integers(2, 98))
def test_an_account_number_is_found_by_its_check_digits(body: int, check: int) -> None:
    right = mod_97_10.calc_check_digits(f"{body:018d}DE")
    assert bool(matches(f"DE{check:02d}{body:018d}", "pii_detected").get("pii.iban")) == (f"{check:02d}" == right)


def test_several_kinds_in_one_text_and_in_both_phases() -> None:
    text = "Jane, jane@example.org, 536-22-8714, 4111 1111 1111 1111, DE89 3704 0044 0532 0130 00"
    expected = ["pii.email", "pii.us_ssn", "pii.credit_card", "pii.iban"]
    phases: tuple[Phase, ...] = ("input", "output")
    for phase in phases:
        found = findings(text, "assistant", phase)
        assert [f.rule for f in found] == expected
        assert {(f.severity.label, f.category) for f in found} == {("medium", "pii")}
