"""The other direction: texts written as the codecs read them."""

from __future__ import annotations

import base64
import codecs
import re
from string import ascii_letters, ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable

UPSIDE_DOWN = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyzACDEFGJLPRTUVYHINOSXZMW?!.'",
        "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz∀ƆᗡƎℲ⅁ſ˥Ԁᴚ⊥∩Λ⅄HINOSXZWM¿¡˙,",
        strict=True,
    )
)
MORSE = dict(
    zip(
        ascii_lowercase,
        (
            ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- "
            "-. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.."
        ).split(),
        strict=True,
    )
)
BRAILLE = dict(zip(ascii_lowercase + " ", "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵⠀", strict=True))
NATO = {
    name[0].lower(): name
    for name in (
        "Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar Papa Quebec "
        "Romeo Sierra Tango Uniform Victor Whiskey Xray Yankee Zulu"
    ).split()
}


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def wrapped(text: str, width: int) -> str:
    return "\n".join(text[place : place + width] for place in range(0, len(text), width))


def shifted(text: str, shift: int) -> str:
    lower = ascii_lowercase[shift:] + ascii_lowercase[:shift]
    return text.translate(str.maketrans(ascii_letters, lower + lower.upper()))


def pig(word: str) -> str:
    start = re.match("[^aeiou]*", word)
    assert start is not None
    return word[start.end() :] + (start[0] + "ay" if start[0] else "way")


def bits(text: str, width: int = 8) -> list[str]:
    return [f"{byte:0{width}b}" for byte in text.encode()]


# Any text.
OF_BYTES: dict[str, tuple[str, Callable[[str], str]]] = {
    "base64": ("base64", b64),
    "base64 without padding": ("base64", lambda t: b64(t).rstrip("=")),
    "base64 safe for URLs": ("base64", lambda t: base64.urlsafe_b64encode(t.encode()).decode().rstrip("=")),
    "base64 in lines": ("base64", lambda t: wrapped(b64(t), 20)),
    "base32": ("base32", lambda t: base64.b32encode(t.encode()).decode()),
    "base32 small": ("base32", lambda t: base64.b32encode(t.encode()).decode().lower().rstrip("=")),
    "hex": ("hex", lambda t: t.encode().hex()),
    "hex capitals": ("hex", lambda t: t.encode().hex().upper()),
    "hex with spaces": ("hex", lambda t: t.encode().hex(" ")),
    "hex with colons": ("hex", lambda t: t.encode().hex(":")),
    "hex list": ("hex", lambda t: ", ".join(f"0x{byte:02x}" for byte in t.encode())),
    "binary": ("binary", lambda t: " ".join(bits(t))),
    "binary in one piece": ("binary", lambda t: "".join(bits(t))),
    "percent": ("percent", lambda t: "".join(f"%{byte:02X}" for byte in t.encode())),
    "entities": ("entities", lambda t: "".join(f"&#{ord(c)};" for c in t)),
    "entities hex": ("entities", lambda t: "".join(f"&#x{ord(c):x};" for c in t)),
    "braces": ("escapes", lambda t: "".join(f"\\u{{{ord(c):x}}}" for c in t)),
    "U+": ("escapes", lambda t: " ".join(f"U+{ord(c):04X}" for c in t)),
    "x escapes": ("escapes", lambda t: "".join(f"\\x{byte:02x}" for byte in t.encode())),
    "quoted-printable": ("quoted_printable", lambda t: "".join(f"={byte:02X}" for byte in t.encode())),
    "selectors": (
        "selectors",
        lambda t: "".join(chr(0xFE00 + b) if b < 16 else chr(0xE0100 + b - 16) for b in t.encode()),
    ),
    "zero width": ("zero_width", lambda t: "".join(bits(t)).translate({48: "\u200b", 49: "\u200c"})),
    "zero width with marks": (
        "zero_width",
        lambda t: "\u200d".join(bits(t)).translate({48: "\u200c", 49: "\u200b"}),
    ),
}

# Text of ASCII.
OF_ASCII: dict[str, tuple[str, Callable[[str], str]]] = {
    "u escapes": ("escapes", lambda t: "".join(f"\\u{ord(c):04x}" for c in t)),
    "U escapes": ("escapes", lambda t: "".join(f"\\U{ord(c):08x}" for c in t)),
    "binary 7": ("binary", lambda t: " ".join(bits(t, 7))),
    "decimal": ("codes", lambda t: " ".join(str(ord(c)) for c in t)),
    "decimal list": ("codes", lambda t: ", ".join(str(ord(c)) for c in t)),
    "octal": ("codes", lambda t: " ".join(f"{ord(c):03o}" for c in t)),
    "tags": ("tags", lambda t: "".join(chr(0xE0000 + ord(c)) for c in t)),
    "utf7": ("utf7", lambda t: f"+{base64.b64encode(t.encode('utf-16-be')).decode().rstrip('=')}-"),
    "base64 of UTF-16": ("base64", lambda t: base64.b64encode(t.encode("utf-16-le")).decode()),
    "link": ("percent", quote),
    "form": ("percent", lambda t: quote_plus(t) + "%21%21%21"),
    "soft": ("quoted_printable", lambda t: t.replace(" ", "=20")),
    "base64 in groups": ("base64", lambda t: wrapped(b64(t), 4).replace("\n", " ")),
}

# English, with the words that give a cipher away.
OF_ENGLISH: dict[str, tuple[str, Callable[[str], str]]] = {
    "rot13": ("rot13", lambda t: codecs.encode(t, "rot13")),
    "caesar 3": ("caesar", lambda t: shifted(t, 3)),
    "caesar 21": ("caesar", lambda t: shifted(t, 21)),
    "atbash": (
        "atbash",
        lambda t: t.translate(str.maketrans(ascii_letters, ascii_lowercase[::-1] + ascii_uppercase[::-1])),
    ),
    "reversed": ("reversed", lambda t: t[::-1]),
    "each word reversed": ("reversed_words", lambda t: " ".join(word[::-1] for word in t.split())),
    "leet": ("leet", lambda t: t.translate(str.maketrans("oieastOIEAST", "013457013457"))),
    "leet signs": ("leet", lambda t: t.translate(str.maketrans("oias", "01@$"))),
    "spaced": ("spaced", lambda t: "  ".join(map(" ".join, t.split()))),
    "dotted": ("spaced", lambda t: " ".join(map(".".join, t.split()))),
    "dashed": ("spaced", lambda t: " / ".join(map("-".join, t.split()))),
    "lines": ("lines", lambda t: "\n\n".join(map("\n".join, t.split()))),
    "upside down": ("upside_down", lambda t: t.translate(str.maketrans(UPSIDE_DOWN))[::-1]),
}

# The same in small letters.
OF_SMALL_LETTERS: dict[str, tuple[str, Callable[[str], str]]] = {
    "morse": ("morse", lambda t: " / ".join(" ".join(map(MORSE.__getitem__, word)) for word in t.split())),
    "braille": ("braille", lambda t: "".join(map(BRAILLE.__getitem__, t))),
    "nato": ("nato", lambda t: ", ".join(" ".join(map(NATO.__getitem__, word)) for word in t.split())),
    "places": ("codes", lambda t: " / ".join("-".join(str(ord(c) - 96) for c in word) for word in t.split())),
    "pig latin": ("pig_latin", lambda t: " ".join(map(pig, t.split()))),
}
