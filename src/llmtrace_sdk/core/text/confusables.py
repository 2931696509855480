"""Letters that look like Latin ones, and which of them are folded without asking what is around them.

Facts from the Unicode Character Database, and from what the letters look like in common fonts.
"""

# ruff: noqa: RUF001
from __future__ import annotations

import re
from typing import Final
from unicodedata import normalize

from llmtrace_sdk.core.text.invisible import LINE_ENDS, MARKS, SPACES, expanded

_PAIRS: Final = {
    # Latin letters with a stroke, a hook or a tail, which have no decomposition; small capitals; script letters.
    "plain": """
    đd ĐD ħh ĦH ıi łl ŁL øo ØO ŧt ŦT ƀb ɃB ɓb Ɓb ƈc ƇC ɖd ƉD ɗd ƊD ȡd ƒf ƑF ɠg ƓG ǥg ǤG ɨi ƗI ƙk ƘK ƚl ȽL ɫl ɬl
    ɭl ȴl ⱡl ⱠL ɱm ⱮM ɲn ƝN ƞn ȠN ɳn ȵn ɵo ƟO ƥp ƤP ɽr ⱤR ȿs ʂs ƫt ƭt ƬT ʈt ƮT ȶt ⱦt ȾT ʉu ɄU ʋv ƲV ƴy ƳY ƶz ƵZ
    ɀz ʐz ʑz ȥz ⱬz ⱫZ ⱥa ȺA ȼc ȻC ɇe ɆE ɉj ɈJ ȷj ɋq ɊQ ɍr ɌR ɏy ɎY ⱪk ⱩK ⱨh ⱧH ɦh ʝj ɕc ɑa ɡg ɩi ᴀa ʙb ᴄc ᴅd ᴇe
    ꜰf ɢg ʜh ɪi ᴊj ᴋk ʟl ᴍm ɴn ᴏo ᴘp ꞯq ʀr ꜱs ᴛt ᴜu ᴠv ᴡw ʏy ᴢz ëe ёе ЁЕ
    """,
    "cyrillic": """
    аa еe оo рp сc уy хx іi їi јj ѕs ԁd ԛq ԝw һh ѵv ӏl ҽe ѡw АA ВB ЕE КK МM НH ОO РP СC ТT УY ХX ІI ЇI ЈJ ЅS ԌG
    ԚQ ԜW ҮY ѴV ҒF ӾX ѲO ᲀb
    """,
    "greek": "οo αa νv ρp ιi υu κk χx γy τt εe ϲc ϳj ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX ϹC ͿJ",
    "other": """
    օo ոn սu հh ցg զq յj ՕO ՏS ՍU ԼL ᎠD ᎡR ᎢT Ꭵi ᎪA ᎫJ ᎬE ᎳW ᎷM ᎻH ᎽY ᏀG ᏃZ Ꮟb ᏒR ᏔW ᏙV ᏚS ᏞL ᏟC ᏢP ᏦK Ꮷd ᏴB Ꭹy
    Ꮒh ᎾO ᎶG ᗩA ᗅA ᗷB ᑕC ᗪD ᗴE ᖴF ᕼH ᒍJ ᒪL ᗰM ᑎN ᑭP ᖇR ᔕS ᑌU ᐯV ᗯW ᙭X ꓐB ꓑP ꓒd ꓓD ꓔT ꓖG ꓗK ꓙJ ꓚC ꓜZ ꓝF ꓟM ꓠN ꓡL
    ꓢS ꓣR ꓦV ꓧH ꓪW ꓫX ꓬY ꓮA ꓰE ꓲI ꓳO ꓴU ⲞO ⲟo ⲢP ⲣp ⲤC ⲥc ⲎH ⲔK ⲕk ⲒI ⲓi ⲚN ⲘM ⲦT ⲬX ⲭx
    """,
    # Letters that pass for a Latin one only next to Latin ones.
    "loose": """
    кk мm тt вb нh гr пn иn ИN йn ЙN яr ЯR чy ЧY шw ШW щw ЩW цu ЦU дa ДA фo ФO эe ЭE ъb ЪB ьb ЬB жx ЖX бb ђh ћh
    єe ЄE қk ҚK ңh ҢH ҟk өo ӨO үy ұy ҰY ҳx ҲX ѳo ґr ηn ωw σo ςc βb μu θo δd φo πn ξe ζz ΣE ΛA ΔA ΩO ΘO ΞE ΦO ΨY
    աw ըn ռn քp ւl րn
    """,
}


def _table(name: str) -> dict[str, str]:
    return {pair[0]: pair[1:] for pair in _PAIRS[name].split()}


def _without_diacritics() -> dict[str, str]:
    """The precomposed Latin and Greek letters, each with its base."""
    marks, found = expanded(MARKS), {}
    for character in expanded("À-ɏͰ-ϿḀ-ỿἀ-῿"):
        parts = normalize("NFKD", character)
        if len(parts) > 1 and parts[0].isalpha() and marks.issuperset(parts[1:]):
            found[character] = parts[0]
    return found


_ENCLOSED: Final = {
    chr(first + number): chr(ord("A") + number)
    for first in (0x1F130, 0x1F150, 0x1F170)  # squared, negative circled, negative squared
    for number in range(26)
}
_WIDE: Final = {chr(0xFF00 + number): chr(0x20 + number) for number in range(1, 95)}
_PUNCTUATION: Final = dict.fromkeys("‘’‛ʼʹ′´ˈ", "'") | dict.fromkeys("“”„‟″", '"') | dict.fromkeys("‐‑‒−", "-")

SINGLES: Final[dict[str, str]] = {
    **_without_diacritics(),
    **_table("plain"),
    **_ENCLOSED,
    **_WIDE,
    **_PUNCTUATION,
    **SPACES,
    **LINE_ENDS,
    "⁄": "/",
}
"""What is always folded, character for character."""

REGIONAL: Final = {chr(0x1F1E6 + number): chr(ord("A") + number) for number in range(26)}
"""Regional indicators, of which two make a flag."""

PARENTHESISED: Final = {chr(0x249C + number): chr(ord("a") + number) for number in range(26)} | {
    chr(0x1F110 + number): chr(ord("A") + number) for number in range(26)
}
"""A letter in parentheses, as one character."""

_REGIONS: Final = frozenset(
    """
    AC AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW
    BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CP CR CU CV CW CX CY CZ DE DG DJ DK DM DO DZ EA EC EE EG EH ER ES
    ET EU FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU IC ID IE
    IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC
    MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE
    PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV
    SX SY SZ TA TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM UN US UY UZ VA VC VE VG VI VN VU WF WS
    XK YE YT ZA ZM ZW
    """.split()
)


def spelled(indicators: str) -> str:
    """Regional indicators as letters, unless all of them are flags of regions."""
    letters = "".join(REGIONAL[indicator] for indicator in indicators)
    pairs = {letters[place : place + 2] for place in range(0, len(letters), 2)}
    return indicators if pairs <= _REGIONS else letters


def _with_lower_case(table: dict[str, str]) -> dict[str, str]:
    """Cherokee's small letters have the shape of the capitals."""
    small = {letter.lower(): latin.lower() for letter, latin in table.items() if "Ꭰ" <= letter <= "Ᏼ"}
    return table | small


_STRICT: Final = {name: _with_lower_case(_table(name)) for name in ("cyrillic", "greek", "other")}
_LOOSE: Final = _table("loose")
_ALIKE: Final = {letter: latin for table in _STRICT.values() for letter, latin in table.items()}
_ANY: Final = _ALIKE | _LOOSE
LOOKALIKES: Final = frozenset(_ANY)
"""Letters of other scripts that may stand for a Latin one."""

_BLOCKS: Final = {
    "cyrillic": "Ѐ-ԯᲀ-\u1c88Ꙁ-ꚟ",
    "greek": "Ͱ-Ͽ",
    "other": "Ա-ևᎠ-Ᏽᏸ-ᏽ᐀-ᙿⲀ-⳿ꓐ-ꓷꭰ-ꮿ",
}
_FOREIGN: Final = "".join(_BLOCKS.values())
_LINE: Final = re.compile(r"[^\n]*\n?")
_SOME: Final = re.compile(f"[{''.join(_ANY)}]")
_FOREIGN_LETTER: Final = re.compile(f"[{_FOREIGN}]")
_LATIN: Final = re.compile("[A-Za-z]")
_MIXED: Final = re.compile(f"[A-Za-z](?:(?<=[{_FOREIGN}].)|(?=[{_FOREIGN}]))", re.DOTALL)
_WORD: Final = re.compile(r"\w+")
_CHANGE: Final = re.compile(f"(?<=[A-Za-z])[{_FOREIGN}]|(?<=[{_FOREIGN}])[A-Za-z]")


def _genuine(name: str) -> re.Pattern[str]:
    """Two letters of a script in a row of which not both look Latin: the script is used as itself."""
    own = f"(?![{''.join(_STRICT[name])}])[{_BLOCKS[name]}]"
    return re.compile(f"{own}[{_BLOCKS[name]}]|[{_BLOCKS[name]}]{own}")


def _whole(name: str) -> re.Pattern[str]:
    """A word that consists of look-alikes. One letter alone counts only where it would be a word in Cyrillic."""
    alike = "".join(_STRICT[name])
    alone = r"|(?<!\w)[аіАІ](?!\w)" if name == "cyrillic" else ""
    return re.compile(rf"(?<!\w)[{alike}]{{2,}}+(?!\w){alone}")


_Script = tuple[frozenset[str], re.Pattern[str], re.Pattern[str], dict[int, str]]
_SCRIPTS: Final[tuple[_Script, ...]] = tuple(
    (frozenset(_STRICT[name]), _genuine(name), _whole(name), str.maketrans(_STRICT[name])) for name in _BLOCKS
)
_PATCHWORK: Final = re.compile(rf"(?<!\w)[{''.join(_ALIKE)}]{{2,}}+(?!\w)")
_TO_LATIN: Final = str.maketrans(_ALIKE)
_TO_LATIN_LOOSELY: Final = str.maketrans(_ANY)

Spans = list[tuple[int, int]]


def latinised(text: str, characters: set[str]) -> tuple[str, Spans]:
    """The text with the look-alikes of mixed words, and whole words of look-alikes, in Latin; the words' spans.

    A word that goes to and fro between the scripts is mixed; so is one where all the foreign letters look Latin. A word
    of look-alikes alone counts if its line holds Latin letters, and no word that can only be of the other script.
    `characters` holds at least the look-alikes that the text has.
    """
    scripts = [script for script in _SCRIPTS if not script[0].isdisjoint(characters)]
    parts: list[str] = []
    words: Spans = []
    for match in _LINE.finditer(text):
        line = match[0]
        if _SOME.search(line) and _LATIN.search(line):
            line = _latinised_line(line, scripts, match.start(), words)
        parts.append(line)
    return "".join(parts), words


def _latinised_line(line: str, scripts: list[_Script], offset: int, words: Spans) -> str:
    def changed(match: re.Match[str], latin: str) -> str:
        if latin != match[0]:
            words.append((offset + match.start(), offset + match.end()))
        return latin

    if _MIXED.search(line):
        line = _WORD.sub(lambda word: changed(word, _latinised_word(word[0])), line)
    if len(scripts) > 1:
        line = _PATCHWORK.sub(lambda word: changed(word, _latinised_patchwork(word[0])), line)
    for _, genuine, whole, table in scripts:
        if not genuine.search(line):
            line = whole.sub(lambda word, table=table: changed(word, word[0].translate(table)), line)  # type: ignore[misc]
    return line


def _latinised_word(word: str) -> str:
    if word.isascii() or not _MIXED.search(word):
        return word
    strict = word.translate(_TO_LATIN)
    if _FOREIGN_LETTER.search(strict) is None:
        return strict
    # A foreign ending on a Latin name is how many languages inflect it; more than one change of script is not.
    return word.translate(_TO_LATIN_LOOSELY) if len(_CHANGE.findall(word)) > 1 else word


def _latinised_patchwork(word: str) -> str:
    """A word of look-alikes, if they are of more than one script."""
    scripts = sum(not letters.isdisjoint(word) for letters, *_ in _SCRIPTS)
    return word.translate(_TO_LATIN) if scripts > 1 else word
