"""One fixed sentence for each finding type: what can be told to others without quoting anything of a call."""

from __future__ import annotations

import re
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SENTENCES: Final = {
    "canary_token_leakage": "A canary token that was planted in the prompt appears in the answer.",
    "context_flooding": "A text is built to crowd other instructions out of the context.",
    "dangerous_command": "A command that can destroy or take over a system.",
    "data_exfiltration": "A text tries to carry data out to somebody else.",
    "data_leakage": "The answer gives away internal data.",
    "encoding_attack": "Instructions are hidden in an encoding.",
    "header_injection": "A text contains header lines that can be taken for a protocol's own.",
    "hidden_text": "A text contains characters that people do not see.",
    "injection_classifier": "The classifier takes a text for an injection.",
    "insecure_code": "Generated code has a known weakness.",
    "is_repeated_token": "One token is repeated many times.",
    "is_shot_attack": "Made-up dialogue turns are used to steer the model.",
    "jailbreak": "A text tries to free the model from its rules.",
    "output_toxicity": "The answer is toxic.",
    "p2sql_injection": "A text tries to make the model run SQL.",
    "pii_detected": "Personal data.",
    "prompt_extraction": "A text tries to get at the system prompt.",
    "prompt_injection": "A text tries to override the instructions of the model.",
    "role_injection": "A text contains markers of chat roles.",
    "secret_leakage": "A credential.",
    "sensitive_file_access": "A sensitive file is to be read.",
    "shell_injection": "A text smuggles commands into a shell.",
    "suspicious_url": "A URL that looks like one for carrying data out, or for deceit.",
    "synonym_injection": "Instructions of the model are overridden in other words than usual.",
    "tool_input_pii": "Personal data in the arguments of a tool.",
}


def sentence(finding_type: str) -> str:
    """What a finding of the type means."""
    known = _SENTENCES.get(finding_type)
    return known or f"A finding of the type {plain(finding_type)}."


def plain(name: str) -> str:
    """A name that others made, if it is one that can stand in a line of text; else `other`."""
    return name if _PLAIN.fullmatch(name) else "other"
