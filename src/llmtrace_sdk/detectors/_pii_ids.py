"""Numbers that a state gave to a person: the check digits that make them more than digits.

The arithmetic is python-stdnum's (https://arthurdejong.org/python-stdnum/), one module per kind, loaded when a number
of that kind is first seen.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from llmtrace_sdk.detectors._rules import Check

KINDS: Final = {
    "at_vnr": "at.vnr",
    "au_tfn": "au.tfn",
    "be_nn": "be.nn",
    "bg_egn": "bg.egn",
    "br_cnpj": "br.cnpj",
    "br_cpf": "br.cpf",
    "ca_sin": "ca.sin",
    "ch_ssn": "ch.ssn",
    "cl_rut": "cl.rut",
    "cn_ric": "cn.ric",
    "cz_rc": "cz.rc",
    "de_idnr": "de.idnr",
    "dk_cpr": "dk.cpr",
    "ee_ik": "ee.ik",
    "es_dni": "es.dni",
    "es_nie": "es.nie",
    "fi_hetu": "fi.hetu",
    "fr_nir": "fr.nir",
    "gb_nhs": "gb.nhs",
    "gr_amka": "gr.amka",
    "hr_oib": "hr.oib",
    "ie_pps": "ie.pps",
    "in_aadhaar": "in_.aadhaar",
    "in_pan": "in_.pan",
    "it_cf": "it.codicefiscale",
    "kr_rrn": "kr.rrn",
    "lt_asmens": "lt.asmens",
    "lv_pk": "lv.pvn",
    "mx_curp": "mx.curp",
    "nl_bsn": "nl.bsn",
    "no_fnr": "no.fodselsnummer",
    "pl_pesel": "pl.pesel",
    "pt_nif": "pt.nif",
    "ro_cnp": "ro.cnp",
    "se_pnr": "se.personnummer",
    "si_emso": "si.emso",
    "tr_kimlik": "tr.tckimlik",
    "us_itin": "us.itin",
    "us_rtn": "us.rtn",
    "za_id": "za.idnr",
}
"""Name of the check -> module of python-stdnum."""

_SEQUENCES: Final = ("123456789", "987654321", "012345678", "1234567890", "0123456789")
_NOT_DIGITS: Final = re.compile(r"\D")
_NINO_PREFIXES: Final = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
# ISO 3166-1, the fifth and sixth letter of a bank's code.
_COUNTRIES: Final = frozenset(
    """
    AD AE AF AG AI AL AM AO AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BW BY BZ CA CC CD CF
    CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG
    GH GI GL GM GN GP GQ GR GT GU GW GY HK HN HR HT HU ID IE IL IM IN IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW
    KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE
    NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SK SL
    SM SN SO SR SS ST SV SX SY SZ TC TD TG TH TJ TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VG VI VN VU WF WS XK
    YE YT ZA ZM ZW
    """.split()
)


def in_longer_number(text: str, start: int, end: int) -> bool:
    """Whether a dash, dot, slash or underscore ties the match to more digits."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    return bool(
        (before and before[-1] in "-./_" and (before[-1] != "." or before[0].isdigit()) and before[0].isalnum())
        or (len(after) == 2 and after[0] in "-./_" and after[1].isdigit())
    )


def made_up(value: str) -> bool:
    """Whether the digits are one or two repeated, or simply counted."""
    digits = _NOT_DIGITS.sub("", value)
    return len(set(digits)) < 3 or digits.startswith(_SEQUENCES)


def _checked_by(module: str) -> Check:
    def check(text: str, start: int, end: int) -> bool:
        value = text[start:end]
        if made_up(value) or in_longer_number(text, start, end):
            return False
        try:
            return bool(_module(module).is_valid(value))
        except (LookupError, ValueError):  # stdnum has not the region of every number: cn.ric raises KeyError
            return False

    check.__doc__ = f"A number that `stdnum.{module}` finds valid, and nobody made up."
    return check


@cache
def _module(name: str) -> Any:
    return import_module(f"stdnum.{name}")


def nino(text: str, start: int, end: int) -> bool:
    """A British national insurance number: the prefixes that are given out."""
    value = text[start:end].replace(" ", "").upper()
    return value[:2] not in _NINO_PREFIXES and not made_up(value)


def passport(text: str, start: int, end: int) -> bool:
    """The number of a passport has digits, and is not simply counted."""
    value = text[start:end]
    return sum(c.isdigit() for c in value) >= 2 and not made_up(value) and not in_longer_number(text, start, end)


def id_card(text: str, start: int, end: int) -> bool:
    """The serial number of a German identity card: if the tenth character is there, it is the check digit."""
    value = text[start:end].upper()
    if not any(c.isdigit() for c in value):
        return False
    if len(value) < 10:
        return True
    total = sum(int(c, 36) * weight for c, weight in zip(value[:9], (7, 3, 1) * 3, strict=True))
    return value[9] == str(total % 10)


def bic(text: str, start: int, end: int) -> bool:
    """A bank's code has a country in it."""
    return text[start:end][4:6].upper() in _COUNTRIES


CHECKS: Final[dict[str, Check]] = {
    **{f"id_{name}": _checked_by(module) for name, module in KINDS.items()},
    "nino": nino,
    "passport": passport,
    "id_card": id_card,
    "bic": bic,
}
