"""The checks say what python-stdnum, ipaddress and phonenumbers say, and say it sooner."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iban as ibans
from stdnum import luhn

from llmtrace_sdk.detectors import _pii_net, _pii_phones, pii_detected

digits = st.text("0123456789", min_size=12, max_size=19)


@given(digits, st.booleans())
def test_a_card_has_a_right_check_digit(body: str, right: bool) -> None:
    number = body[:-1] + luhn.calc_check_digit(body[:-1]) if right else body
    assert pii_detected._luhn(number) == luhn.is_valid(number)


@given(st.sampled_from(pii_detected._ISSUERS), st.integers(0, 9), digits)
def test_a_card_has_an_issuer_that_gives_out_such_numbers(
    issuer: tuple[int, int, frozenset[int]], beyond: int, body: str
) -> None:
    for first in (issuer[0], issuer[1], issuer[0] + beyond, issuer[1] + beyond):
        number = f"{first}{body}"[: len(body)]
        expected = any(
            low <= int(number[: len(str(low))]) <= high and len(number) in lengths
            for low, high, lengths in pii_detected._ISSUERS
        )
        assert pii_detected._issued(number) == expected


countries = st.sampled_from("DE GB FR MT NO BE CH ES IT NL PL SE SC LC RU TR XK MU BR US ZZ".split())
accounts = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=8, max_size=30) | st.text(
    "0123456789", min_size=11, max_size=27
)


@given(countries, accounts, st.booleans(), st.sampled_from(["", " ", "-"]))
def test_an_account_is_what_the_register_says(country: str, account: str, right: bool, joint: str) -> None:
    check = ibans.calc_check_digits(f"{country}00{account}") if right else "12"
    plain = f"{country}{check}{account}"
    text = joint.join(plain[at : at + 4] for at in range(0, len(plain), 4)).lower()
    assert pii_detected.iban(text, 0, len(text)) == ibans.is_valid(plain, check_country=False)


@pytest.mark.parametrize(
    "number",
    [
        "DE89370400440532013000",
        "GB82WEST12345698765432",
        "NL91ABNA0417164300",
        "FR1420041010050500013M02606",
        "MT84MALT011000012345MTLCAST001S",
    ],
)
def test_real_accounts_and_those_with_a_digit_changed(number: str) -> None:
    assert pii_detected.iban(number, 0, len(number))
    wrong = number[:-1] + ("1" if number[-1] != "1" else "2")
    assert not pii_detected.iban(wrong, 0, len(wrong))


def test_what_is_private_is_what_ipaddress_says_in_all_of_the_address_space() -> None:
    shared = IPv4Network("100.64.0.0/10")
    for high in range(256 * 256):
        for low in (0, 1, 2 * 256 + 1, 113 * 256 + 7, 100 * 256 + 9):
            address = IPv4Address(high << 16 | low)
            if high >> 8 in _pii_net._SPECIAL:
                break
            assert not any((address.is_private, address.is_link_local, address in shared))
    assert all(network.network_address.packed[0] in _pii_net._SPECIAL for network in _pii_net._DOCUMENTATION)


@given(st.text("01 .x\n9é٣", max_size=400), st.integers(0, 30))
def test_a_table_has_many_groups_of_digits(start: str, times: int) -> None:
    text = start * times
    groups = len(re.findall(r"\d+", text[-_pii_phones._WINDOW :]))
    assert _pii_phones._crowded(text, len(text)) == (groups > _pii_phones.MOST_GROUPS)


@pytest.mark.skipif(not _pii_phones.installed(), reason="needs the extra `phone`")
class TestShapes:
    def test_no_number_that_exists_is_left_out(self) -> None:
        import phonenumbers

        regions = sorted(phonenumbers.SUPPORTED_REGIONS)
        national = _pii_phones.National(regions)
        shaped = [region for region in regions if _pii_phones._shape(phonenumbers, region) is not None]
        assert set(_pii_phones.REGIONS) <= set(shaped)
        for region in regions:
            for use in range(11):
                number = phonenumbers.example_number_for_type(region, use)
                if number is None:
                    continue
                value = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
                shape = _pii_phones._shape(phonenumbers, region)
                written = "".join(re.findall(r"\d+", value))
                if national._written_in(region, value):
                    assert shape is None or shape.fullmatch(written), (region, value)

    @given(st.from_regex(r"0?[1-9][0-9]{1,3} [1-9][0-9]{2,3} ?[0-9]{2,5}", fullmatch=True))
    def test_looking_up_says_the_same_without_it(self, value: str) -> None:
        national = _pii_phones.National(_pii_phones.REGIONS)
        assert national._is_known(value) == any(national._written_in(r, value) for r in _pii_phones.REGIONS)
