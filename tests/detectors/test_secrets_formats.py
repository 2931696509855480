"""Made-up tokens of every format, planted where tokens are found."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Final

import pytest

from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.core.patterns import PatternSet
from llmtrace_sdk.core.scan import Engine
from llmtrace_sdk.detectors import _rules, secret_leakage

from .made_secrets import IN_FRONT, NAMED, PREFIXED, SHAPED, Maker, jwt

ENGINE: Final = Engine([secret_leakage.build()])


def matches(text: str) -> dict[str, str]:
    """Matched texts by rule."""
    report = ENGINE.scan((Segment(text, "user", ""),), "input")
    assert report.failed == ()
    return {f.rule: text[f.start : f.end] for f in report.findings}


AROUND = [
    "{}",
    "my key is {}.",
    "Is {}?",
    "use '{}', please",
    '{{"key": "{}"}}',
    '{{\\"key\\": \\"{}\\"}}',
    'client = Client("{}")  # secret',
    "export X={}\n",
    "X={};",
    "2026-01-02T03:04:05Z INFO [auth] got {} from 10.0.0.1",
    "https://example.org/x?k={}&y=1",
    "**{}**",
    "`{}`",
    "(see {})",
    "<b>{}</b>",
    "- key: {}\n- more",
    "日本語{}です",
    "| a | {} | b |",
]

GLUED: Final = [
    "https%3A%2F%2Fexample.org%3Fk%3D{}%26y",
    "the key:\\n{}\\nis mine",
    "k=\\u0022{}\\u0022",
    "an _{}_ here",
]
GLUED_UNSEEN: Final = frozenset(
    """
    airtable_token asana_token aws_bedrock_key aws_mws_key azure_ai_key azure_devops_token azure_function_key
    bitcoin_private_key braintree_token buildkite_token circleci_token clickup_token cloudflare_origin_ca_key
    discord_bot_token dynatrace_token e2b_key easypost_key elevenlabs_key firecrawl_key flutterwave_key
    google_refresh_token honeycomb_key infisical_token launchdarkly_key mailchimp_key mailgun_key openshift_token
    postman_key razorpay_key shippo_token sonarqube_token adyen_key aws_session_token dropbox_token
    telegram_bot_token tencent_secret_id terraform_token twilio_key twitter_bearer_token vercel_token voyage_key
    yandex_key mapbox_token azure_client_secret
    """.split()
)
"""Kinds whose beginning is too common to be looked for in the middle of a word."""


def planted(name: str, seed: int) -> str:
    return PREFIXED[name](Maker(seed))


@pytest.mark.parametrize("name", PREFIXED)
def test_tokens_with_a_form_of_their_own_are_found_whole(name: str) -> None:
    seen, tried = 0, 0
    for seed in range(5):
        for around in AROUND:
            token = planted(name, seed)
            text = around.format(IN_FRONT.get(name, "") + token)
            seen += matches(text).get(f"secret.{name}") == token
            tried += 1
    assert seen >= 0.99 * tried, f"{seen} of {tried}"


@pytest.mark.parametrize("name", PREFIXED)
def test_nearly_every_token_is_found(name: str) -> None:
    found = sum(f"secret.{name}" in matches(IN_FRONT.get(name, "") + planted(name, s)) for s in range(300))
    assert found >= 297


@pytest.mark.parametrize("name", sorted(PREFIXED.keys() - GLUED_UNSEEN))
@pytest.mark.parametrize("around", GLUED)
def test_tokens_that_begin_no_word(name: str, around: str) -> None:
    found = 0
    for seed in range(20):
        token = planted(name, seed)
        text = around.format(token)
        found += any(value.startswith(token[:36]) for value in matches(text).values())
    assert found >= 19


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("form", ["{}={}", "{}: {}", '"{}": "{}"', "{} = '{}'", "the {} is {}.", "{} => `{}`"])
def test_values_that_their_names_tell(name: str, form: str) -> None:
    names, made = NAMED[name]
    seen, tried = 0, 0
    for seed in range(50):
        for called in names:
            value = made(Maker(seed))
            seen += matches(form.format(called, value)).get(f"secret.{name}") == value
            tried += 1
    assert seen >= 0.99 * tried, f"{seen} of {tried}"


@pytest.mark.parametrize("name", SHAPED)
def test_values_that_their_surroundings_tell(name: str) -> None:
    around, made = SHAPED[name]
    for seed in range(100):
        value = made(Maker(seed))
        assert matches(around.format(value)) == {f"secret.{name}": value}


def test_every_rule_of_a_vendor_is_tried() -> None:
    generic = {
        *("google_service_account", "private_key", "putty_private_key", "url_password", "bearer_token", "assignment"),
        *("basic_credentials", "password", "short_password", "command_password", "seed_phrase", "token_behind_escape"),
    }
    ours = {rule.id.removeprefix("secret.") for rule in _rules.load("secret_leakage")}
    assert ours - generic == PREFIXED.keys() | NAMED.keys() | SHAPED.keys()


@pytest.mark.parametrize("name", PREFIXED)
def test_masks_and_stand_ins_are_no_tokens(name: str) -> None:
    token = planted(name, 3)
    for stand_in in ("x", "X", "*", "0", "."):
        masked = token[:12] + stand_in * (len(token) - 12)
        assert matches(f"key {IN_FRONT.get(name, '')}{masked} here") == {}


@pytest.mark.parametrize(
    "text",
    [
        "sk-xxxx",
        "OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "sk-proj-your-api-key-goes-here-please",
        "sk-ant-api03-your-key-here-0123456789",
        "export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "ghp_****",
        "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345",
        "token: <YOUR_API_KEY>",
        "const key = process.env.STRIPE_SECRET_KEY;",
        "api_key=${OPENAI_API_KEY}",
        "password: changeme",
        "password=changeme123",
        "hf_XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
        "AIzaSyXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
        "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
        'if "-----BEGIN PRIVATE KEY-----" in text:',
        "Bearer <token>",
        "machine example.org login me password <secret>",
        "https://user:password123@{host}/".replace("password123", "<password>"),
        "mysql -u root -p",
        "curl -u $USER:$PASS https://example.org",
        "seed phrase: twelve words that nobody else should ever see or write down anywhere online",
    ],
)
def test_no_secrets(text: str) -> None:
    assert matches(text) == {}


def test_a_token_whose_checksum_is_right_is_surer() -> None:
    rules = {rule.id: rule.confidence for rule in _rules.load("secret_leakage")}
    assert rules["secret.github_token_verified"] > rules["secret.github_token"]
    assert rules["secret.npm_token_verified"] > rules["secret.npm_token"]
    token = "ghp_" + Maker(1).checked()
    wrong = token[:-1] + ("a" if token[-1] != "a" else "b")
    assert matches(token) == {"secret.github_token_verified": token}
    assert matches(wrong) == {"secret.github_token": wrong}


def test_a_web_token_needs_a_header() -> None:
    header, payload, signature = jwt(Maker(1)).split(".")
    assert matches(f"{header}.{payload}.{signature}")
    for bad in ("eyJ" + "q7Zr2Lk9" * 4, urlsafe_b64encode(b'{"typ": "JWT", "x": 1}').decode().rstrip("=")):
        assert matches(f"{bad}.{payload}.{signature}") == {}


@pytest.mark.parametrize(
    "text",
    [
        "Das Passwort lautet Gf7!kq2L",
        "Passwort: Gf7!kq2L",
        "Kennwort = Gf7!kq2L",
        "la clave es Gf7!kq2L",
        "mot de passe : Gf7!kq2L",
        "le mot de passe est Gf7!kq2L",
        "senha: Gf7!kq2L",
        "wachtwoord is Gf7!kq2L",
        "la parola e Gf7!kq2L",
        "пароль: Gf7!kq2L",
        "мой пароль это Gf7!kq2L",
        "密码\uff1aGf7!kq2L",
        "密码是Gf7!kq2L",
        "パスワードは Gf7!kq2L",
        "비밀번호는 Gf7!kq2L",
        "pw: Gf7!kq2L",
        "the password for the router was Gf7!kq2L",
        "mysqldump -u root -pGf7!kq2L db",
        "sshpass -p 'Gf7!kq2L' ssh x",
        "curl -s -u admin:Gf7!kq2L https://example.org",
        "login --password=Gf7!kq2L",
    ],
)
def test_passwords(text: str) -> None:
    assert list(matches(text).values()) == ["Gf7!kq2L"]


def test_seed_phrases() -> None:
    words = "pond velvet orbit cactus lemon hover glide tunnel arctic marble canyon spider"
    assert matches(f"my seed phrase is: {words}.") == {"secret.seed_phrase": words}
    numbered = " ".join(f"{number}. {word}" for number, word in enumerate(words.split(), 1))
    assert matches(f"recovery phrase: {numbered}") == {"secret.seed_phrase": numbered}
    assert matches(f"a poem: {words}") == {}


def test_nothing_hides_a_token_from_the_set() -> None:
    rules = _rules.load("secret_leakage")
    everything = PatternSet(rules)
    by_id = {rule.id: number for number, rule in enumerate(rules)}
    for name in PREFIXED:
        text = f"x {IN_FRONT.get(name, '')}{planted(name, 5)} y"
        assert by_id[f"secret.{name}"] in everything.match(text)


@pytest.mark.parametrize("name", secret_leakage.CHECKS)
@pytest.mark.parametrize("text", ["", "=", "a.b", "eyJ.eyJ", "\ud800.é", "9" * 200, "eyJ" + "W" * 300])
def test_checks_have_an_answer_for_every_text(name: str, text: str) -> None:
    only_rules_out = name in ("not_a_placeholder", "sas")
    assert secret_leakage.CHECKS[name](text, 0, len(text)) is only_rules_out
