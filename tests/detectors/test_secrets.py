from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.model import Severity
from llmtrace_sdk.detectors.secret_leakage import entropy

from .texts import findings, matches

LETTERS, DIGITS = string.ascii_letters, string.digits
HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"  # {"alg":"HS256","typ":"JWT"}
ALNUM, HEX, BASE64, URLSAFE = LETTERS + DIGITS, "0123456789abcdef", LETTERS + DIGITS + "+/", LETTERS + DIGITS + "_-"


def made(seed: int, alphabet: str, size: int) -> str:
    """A stand-in for a key: the same one for the same seed, beginning and ending with a letter."""
    source = random.Random(seed)
    return source.choice("abcdef") + "".join(source.choices(alphabet, k=size - 2)) + source.choice("abcdef")


def tokens(seed: int) -> dict[str, str]:
    """One token for each kind, put together here so that no file holds one."""
    return {
        "secret.aws_access_key_id": "AKIA" + made(seed, ALNUM, 16).upper(),
        "secret.github_token": "gh" + "pousr"[seed % 5] + "_" + made(seed, ALNUM, 36),
        "secret.github_fine_grained": f"github_pat_{made(seed, ALNUM, 22)}_{made(seed + 1, ALNUM, 59)}",
        "secret.gitlab_token": "glpat-" + made(seed, URLSAFE, 20),
        "secret.slack_token": f"xoxb-{10**11 + seed}-{10**12 + seed}-{made(seed, ALNUM, 24)}",
        "secret.stripe_key": "sk_live_" + made(seed, ALNUM, 24 + seed % 70),
        "secret.stripe_test_key": "rk_test_" + made(seed, ALNUM, 24),
        "secret.openai_key": "sk-proj-" + made(seed, URLSAFE, 100 + seed % 60),
        "secret.anthropic_key": "sk-ant-api03-" + made(seed, URLSAFE, 95),
        "secret.google_api_key": "AIza" + made(seed, URLSAFE, 35),
        "secret.google_oauth_secret": "GOCSPX-" + made(seed, URLSAFE, 28),
        "secret.npm_token": "npm_" + made(seed, ALNUM, 36),
        "secret.pypi_token": "pypi-AgEI" + made(seed, URLSAFE, 150),
        "secret.huggingface_token": "hf_" + made(seed, LETTERS, 34),
        "secret.sendgrid_key": f"SG.{made(seed, URLSAFE, 22)}.{made(seed + 1, URLSAFE, 43)}",
        "secret.twilio_key": "SK" + made(seed, HEX, 32),
        "secret.digitalocean_token": "dop_v1_" + made(seed, HEX, 64),
        "secret.jwt": f"{HEADER}.eyJ{made(seed, URLSAFE, 1500)}.{made(seed + 1, URLSAFE, 43)}",
    }


@pytest.mark.parametrize("rule", tokens(0))
@pytest.mark.parametrize("around", ["{}", "here: {} !", "é='{}'", '{{"k": "{}"}}', "a\n{}\nb", "日本 ({})"])
def test_tokens_are_found_whole(rule: str, around: str) -> None:
    for seed in range(20):
        token = tokens(seed)[rule]
        text = around.format(token)
        assert matches(text, "secret_leakage") == {rule: token}
        assert matches(text, "secret_leakage", "output") == {rule: token}


@pytest.mark.parametrize("rule", tokens(0))
def test_a_word_that_goes_on_before_a_token_is_no_token(rule: str) -> None:
    assert rule not in matches("x" + tokens(1)[rule], "secret_leakage")


def test_private_keys_are_found_to_their_end() -> None:
    body = "\n".join(made(i, BASE64, 64) for i in range(25))
    for kind in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "):
        block = f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"
        text = f"é my key:\n{block}\nthanks. -----END"
        assert matches(text, "secret_leakage") == {"secret.private_key": block}
        escaped = block.replace("\n", "\\n")
        assert matches(f'"key": "{escaped}"', "secret_leakage") == {"secret.private_key": escaped}
    assert "secret.private_key" in matches(f"-----BEGIN PRIVATE KEY-----\n{body}", "secret_leakage")
    assert matches(block.replace("PRIVATE", "PUBLIC"), "secret_leakage") == {}


@pytest.mark.parametrize(
    ("text", "rule", "matched"),
    [
        ("postgres://app:Gf7kq2Lp@db.example.org:5432/x", "secret.url_password", "Gf7kq2Lp"),
        ("postgresql+asyncpg://user:pass@localhost/db", "secret.url_password", "pass"),
        ("redis://:Gf7kq2Lp@cache:6379/0", "secret.url_password", "Gf7kq2Lp"),
        ("https://bot:t0ps3cr3t@git.example.org/repo.git", "secret.url_password", "t0ps3cr3t"),
        ("my password is hunter22.", "secret.password", "hunter22"),
        ("DB_PASSWORD='c0rrect-horse'", "secret.password", "c0rrect-horse"),
        ('"password": "n0t$oSafe"', "secret.password", "n0t$oSafe"),
        ("Authorization: Basic dXNlcjpodW50ZXIyMg==", "secret.basic_credentials", "dXNlcjpodW50ZXIyMg=="),
    ],
)
def test_secrets_without_a_prefix(text: str, rule: str, matched: str) -> None:
    assert matches(text, "secret_leakage") == {rule: matched}


@pytest.mark.parametrize(
    "name", ["api_key", "APIKEY", "API-KEY", "client_secret", "x-auth-token", "accessToken", "secret"]
)
@pytest.mark.parametrize("form", ["{}={}", "{}: {}", '"{}": "{}"', "{} := '{}'", "the {} is {}"])
def test_assignments(name: str, form: str) -> None:
    for seed in range(20):
        value = made(seed, ALNUM, 32) + "0"
        text = form.format(name, value)
        assert matches(text, "secret_leakage") == {"secret.assignment": value}
        assert findings(text)[0].severity == Severity.MEDIUM


def test_bearer_tokens() -> None:
    value = made(3, ALNUM, 40) + "7"
    assert matches(f"authorization: bearer {value}", "secret_leakage") == {"secret.bearer_token": value}
    assert matches("bearer aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1", "secret_leakage") == {}


def test_aws_secret_access_keys() -> None:
    value = made(5, BASE64, 40)
    for text in (f"aws_secret_access_key={value}", f"SecretAccessKey: '{value}'", f"secret key: {value}"):
        assert matches(text, "secret_leakage").get("secret.aws_secret_access_key") == value


@pytest.mark.parametrize(
    "value",
    [
        "your_api_key_here_12345",
        "xxxxxxxxxxxxxxxxxxxx1",
        "<replace-me-with-1-key>",
        "os.environ.get('KEY1')",
        "aaaaaaaaaaaaaaaaaaaa1",
        "$API_KEY_FROM_VAULT_1",
        "${API_KEY_1_FROM_VAULT}",
        "example-key-12345678",
        "********************1",
    ],
)
def test_placeholders_are_no_secrets(value: str) -> None:
    assert matches(f"api_key = {value}", "secret_leakage") == {}
    assert matches(f"password = {value}", "secret_leakage") == {}
    assert matches(f"postgres://app:{value}@db/x", "secret_leakage") in ({}, {"secret.url_password": value})


def test_a_service_account_file() -> None:
    assert "secret.google_service_account" in matches(
        '{"type": "service_account", "project_id": "p"}', "secret_leakage"
    )


def test_a_key_in_an_assignment_is_reported_once_by_its_own_rule() -> None:
    token = tokens(2)["secret.anthropic_key"]
    assert matches(f"ANTHROPIC_API_KEY={token}", "secret_leakage") == {"secret.anthropic_key": token}


@given(st.text(max_size=40))
def test_entropy(text: str) -> None:
    assert -1e-9 <= entropy(text) <= 5.4
    assert entropy(text + text) == pytest.approx(entropy(text))


def test_entropy_in_bits() -> None:
    assert (entropy(""), entropy("aaaa"), entropy("abab"), entropy("abcdefgh")) == (0, 0, 1, 3)
