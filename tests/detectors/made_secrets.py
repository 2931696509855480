"""Made-up tokens of every format, with right checksums; no file holds one."""

from __future__ import annotations

import json
import random
import string
from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable

LOWER, DIGITS, UPPER = string.ascii_lowercase, string.digits, string.ascii_uppercase
AN, HEX, LOW, UP = UPPER + LOWER + DIGITS, DIGITS + "abcdef", LOWER + DIGITS, UPPER + DIGITS
B64, URL = AN + "+/", AN + "_-"
BASE62 = DIGITS + UPPER + LOWER
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


class Maker:
    """A source of random characters: the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def __call__(self, alphabet: str, size: int, most: int | None = None) -> str:
        size = self.random.randint(size, most or size)
        return "".join(self.random.choices(alphabet, k=size))

    def inner(self, alphabet: str, size: int, most: int | None = None) -> str:
        """With a letter or digit at its end, so that what stands behind it is no part of it."""
        return self(alphabet, size, most)[:-1] + self(AN, 1)

    def of(self, *values: str) -> str:
        return self.random.choice(values)

    def uuid(self) -> str:
        return "-".join(self(HEX, size) for size in (8, 4, 4, 4, 12))

    def checked(self) -> str:
        body = self(BASE62, 30)
        number, tail = crc32(body.encode()), ""
        while number:
            number, digit = divmod(number, 62)
            tail = BASE62[digit] + tail
        return body + tail.rjust(6, "0")


def jwt(m: Maker) -> str:
    def part(value: object) -> str:
        return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    header = {"alg": m.of("HS256", "RS256", "ES256", "none"), m.of("typ", "kid"): m(AN, 3, 40)}
    return f"{part(header)}.{part({'sub': m(AN, 5, 90), 'exp': m.random.randint(1, 2**31)})}.{m.inner(URL, 43)}"


def base58check(body: bytes) -> str:
    data = body + sha256(sha256(body).digest()).digest()[:4]
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return text


def nsec(m: Maker) -> str:
    data = [m.random.randrange(32) for _ in range(52)]
    values = [ord(c) >> 5 for c in "nsec"] + [0] + [ord(c) & 31 for c in "nsec"] + data + [0] * 6
    check = 1
    for value in values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, word in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= word if top >> bit & 1 else 0
    data += [(check ^ 1) >> 5 * (5 - i) & 31 for i in range(6)]
    return "nsec1" + "".join(BECH32[value] for value in data)


def discord(m: Maker) -> str:
    number = b64encode(str(m.random.randrange(10**17, 10**18)).encode()).decode().rstrip("=")
    return f"{number}.{m(URL, 6)}.{m.inner(URL, 38)}"


PREFIXED: Final[dict[str, Callable[[Maker], str]]] = {
    "adyen_key": lambda m: "AQE" + m(LOWER, 1) + m.inner(B64, 90, 160),
    "age_secret_key": lambda m: "AGE-SECRET-KEY-1" + m(BECH32.upper(), 58),
    "airtable_token": lambda m: f"pat{m(AN, 14)}.{m(HEX, 64)}",
    "aiven_password": lambda m: "AVNS_" + m.inner(URL, 19),
    "alibaba_access_key": lambda m: "LTAI5t" + m(AN, 18),
    "anthropic_key": lambda m: m.of("sk-ant-api03-", "sk-ant-admin01-", "sk-ant-oat01-") + m.inner(URL, 80, 95) + "AA",
    "asana_token": lambda m: f"{m.of('1', '2')}/1{m(DIGITS, 15)}:{m(HEX, 32)}",
    "atlassian_token": lambda m: "ATATT3xFfGF0" + m.inner(URL, 160, 180) + "=" + m(UP, 8),
    "aws_access_key_id": lambda m: m.of("AKIA", "ASIA", "ABIA", "ACCA") + m(UPPER + "234567", 16),
    "aws_bedrock_key": lambda m: "ABSK" + m.inner(B64, 128),
    "aws_mws_key": lambda m: "amzn.mws." + m.uuid(),
    "aws_session_token": lambda m: m.of("IQoJb3JpZ2lu", "FwoGZXIvYXdz") + m.inner(B64, 300, 900),
    "azure_ai_key": lambda m: f"{m(AN, 52)}JQQJ99{m(AN, 26)}",
    "azure_client_secret": lambda m: f"{m(AN, 3)}{m.of('7', '8')}Q~{m.inner(URL + '~.', 34)}",
    "azure_devops_token": lambda m: f"{m(AN, 76)}AZDO{m(AN, 4)}",
    "azure_function_key": lambda m: f"{m(URL, 44)}AzFu{m.inner(URL, 6)}==",
    "bitbucket_token": lambda m: m.of("ATBB" + m(AN, 32), "ATCTT3xFfGN0" + m.inner(URL, 160) + "=" + m(UP, 8)),
    "bitcoin_private_key": lambda m: base58check(b"\x80" + m.random.randbytes(32) + m.random.choice([b"", b"\x01"])),
    "braintree_token": lambda m: f"access_token${m.of('production', 'sandbox')}${m(LOW, 16)}${m(HEX, 32)}",
    "brevo_key": lambda m: f"{m.of('xkeysib', 'xsmtpsib')}-{m(HEX, 64)}-{m(AN, 16)}",
    "buildkite_token": lambda m: "bkua_" + m(HEX, 40),
    "cerebras_key": lambda m: "csk-" + m(LOW, 48),
    "circleci_token": lambda m: f"CCIPAT_{m(AN, 22)}_{m(HEX, 40)}",
    "clickup_token": lambda m: f"pk_{m(DIGITS, 7, 8)}_{m(UP, 32)}",
    "clojars_token": lambda m: "CLOJARS_" + m(HEX, 60),
    "cloudflare_origin_ca_key": lambda m: f"v1.0-{m(HEX, 24)}-{m(HEX, 146)}",
    "contentful_token": lambda m: "CFPAT-" + m.inner(URL, 43),
    "crates_io_token": lambda m: "cio" + m(AN, 32),
    "databricks_token": lambda m: "dapi" + m(HEX, 32) + m.of("", "-2"),
    "digitalocean_token": lambda m: m.of("dop_v1_", "doo_v1_", "dor_v1_") + m(HEX, 64),
    "discord_bot_token": discord,
    "docker_token": lambda m: m.of("dckr_pat_" + m.inner(URL, 27), "dckr_oat_" + m.inner(URL, 32)),
    "doppler_token": lambda m: m.of("dp.pt.", "dp.st.prd.", "dp.ct.", "dp.sa.", "dp.audit.") + m(AN, 40, 44),
    "dropbox_token": lambda m: m.of("sl.", "sl.u.") + m.inner(URL, 130, 900),
    "dynatrace_token": lambda m: f"dt0c01.{m(UP, 24)}.{m(UP, 64)}",
    "e2b_key": lambda m: "e2b_" + m(HEX, 40),
    "easypost_key": lambda m: m.of("EZAK", "EZTK") + m(AN, 54),
    "elevenlabs_key": lambda m: "sk_" + m(HEX, 48),
    "facebook_token": lambda m: "EAAC" + m(AN, 120, 200),
    "figma_token": lambda m: "figd_" + m.inner(URL, 40),
    "firecrawl_key": lambda m: "fc-" + m(HEX, 32),
    "fireworks_key": lambda m: "fw_" + m(AN, 22, 24),
    "flutterwave_key": lambda m: f"FLWSECK-{m(HEX, 32)}-X",
    "fly_token": lambda m: m.of("fo1_" + m.inner(URL, 43), "fm2_" + m.inner(B64, 300)),
    "github_fine_grained": lambda m: f"github_pat_{m(AN, 22)}_{m(AN, 59)}",
    "github_token": lambda m: m.of("ghp_", "gho_", "ghu_", "ghs_", "ghr_") + m(AN, 36),
    "github_token_verified": lambda m: m.of("ghp_", "gho_", "ghu_", "ghs_") + m.checked(),
    "gitlab_token": lambda m: (
        m.of("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "glsoat-", "gloas-")
        + m.inner(URL, 20, 26)
    ),
    "google_api_key": lambda m: "AIza" + m.inner(URL, 35),
    "google_oauth_secret": lambda m: "GOCSPX-" + m.inner(URL, 28),
    "google_oauth_token": lambda m: "ya29." + m.inner(URL, 60, 200),
    "google_refresh_token": lambda m: "1//0" + m.inner(URL, 60, 100),
    "grafana_token": lambda m: m.of(f"glsa_{m(AN, 32)}_{m(HEX, 8)}", "glc_eyJ" + m.inner(B64, 120)),
    "groq_key": lambda m: "gsk_" + m(AN, 52),
    "heroku_key": lambda m: m.of("HRKU-" + m.uuid(), "HRKU-AA" + m.inner(URL, 56, 58)),
    "honeycomb_key": lambda m: "hcaik_" + m(LOW, 58),
    "hubspot_token": lambda m: f"pat-{m.of('na1', 'eu1')}-{m.uuid()}",
    "huggingface_token": lambda m: m.of("hf_", "hf_", "api_org_") + m(UPPER + LOWER, 34),
    "infisical_token": lambda m: f"st.{m(HEX, 24)}.{m(HEX, 32)}.{m(HEX, 32)}",
    "jfrog_key": lambda m: "AKCp" + m(AN, 69),
    "jina_key": lambda m: "jina_" + m(HEX, 32) + m.inner(URL, 28),
    "jwt": jwt,
    "langfuse_key": lambda m: "sk-lf-" + m.uuid(),
    "langsmith_key": lambda m: f"lsv2_{m.of('pt', 'sk')}_{m(HEX, 32)}_{m(HEX, 10)}",
    "launchdarkly_key": lambda m: f"{m.of('sdk', 'api')}-{m.uuid()}",
    "linear_key": lambda m: m.of("lin_api_" + m(AN, 40), "lin_oauth_" + m(HEX, 64)),
    "mailchimp_key": lambda m: f"{m(HEX, 32)}-us{m.random.randint(1, 21)}",
    "mailgun_key": lambda m: m.of("key-" + m(HEX, 32), f"{m(HEX, 32)}-{m(HEX, 8)}-{m(HEX, 8)}"),
    "mapbox_token": lambda m: f"sk.eyJ1Ijoi{m(AN, 60)}.{m(AN, 22)}",
    "neon_key": lambda m: "napi_" + m(LOW, 64),
    "netlify_token": lambda m: "nfp_" + m(AN, 36, 40),
    "newrelic_key": lambda m: "NRAK-" + m(UP, 27),
    "nostr_private_key": nsec,
    "notion_token": lambda m: m.of("ntn_" + m(AN, 46), "secret_" + m(AN, 43)),
    "npm_token": lambda m: "npm_" + m(AN, 36),
    "npm_token_verified": lambda m: "npm_" + m.checked(),
    "nuget_key": lambda m: "oy2" + m(LOW, 43),
    "nvidia_key": lambda m: "nvapi-" + m.inner(URL, 64),
    "onepassword_token": lambda m: "ops_eyJ" + m.inner(B64, 800),
    "openai_key": lambda m: m.of(
        "sk-" + m(AN, 48), *(p + m.inner(URL, 74, 156) for p in ("sk-proj-", "sk-svcacct-", "sk-admin-"))
    ),
    "openrouter_key": lambda m: "sk-or-v1-" + m(HEX, 64),
    "openshift_token": lambda m: "sha256~" + m.inner(URL, 43),
    "perplexity_key": lambda m: "pplx-" + m(AN, 48),
    "pinecone_key": lambda m: f"pcsk_{m(AN, 6)}_{m(AN, 63)}",
    "plaid_token": lambda m: f"access-{m.of('production', 'sandbox')}-{m.uuid()}",
    "planetscale_key": lambda m: m.of("pscale_pw_", "pscale_tkn_") + m.inner(URL, 43),
    "postman_key": lambda m: f"PMAK-{m(HEX, 24)}-{m(HEX, 34)}",
    "pulumi_token": lambda m: "pul-" + m(HEX, 40),
    "pypi_token": lambda m: m.of("pypi-AgEIcHlwaS5vcmc", "pypi-AgENdGVzdC5weXBpLm9yZw") + m.inner(URL, 120, 200),
    "razorpay_key": lambda m: "rzp_live_" + m(AN, 14),
    "readme_key": lambda m: "rdme_" + m(LOW, 70),
    "render_key": lambda m: "rnd_" + m(AN, 28),
    "replicate_token": lambda m: "r8_" + m(AN, 37),
    "resend_key": lambda m: f"re_{m(AN, 8)}_{m(AN, 24)}",
    "rubygems_key": lambda m: "rubygems_" + m(HEX, 48),
    "sendgrid_key": lambda m: f"SG.{m(URL, 22)}.{m.inner(URL, 43)}",
    "sentry_token": lambda m: m.of("sntrys_eyJ" + m.inner(B64, 120), "sntryu_" + m(HEX, 64)),
    "shippo_token": lambda m: "shippo_live_" + m(HEX, 40),
    "shopify_token": lambda m: m.of("shpat_", "shpca_", "shppa_", "shpss_") + m(HEX, 32),
    "slack_token": lambda m: m.of(
        f"xoxb-{m('123456789', 12)}-{m('123456789', 13)}-{m(AN, 24)}",
        f"xoxp-{m(DIGITS, 12)}-{m(DIGITS, 12)}-{m(DIGITS, 12)}-{m(HEX, 32)}",
        f"xapp-1-A{m(UP, 10)}-{m(DIGITS, 13)}-{m(HEX, 64)}",
        f"xoxe.xoxp-1-{m(AN, 160)}",
        f"xoxe-1-{m(AN, 140)}",
    ),
    "sonarqube_token": lambda m: m.of("sqp_", "squ_", "sqa_") + m(HEX, 40),
    "square_token": lambda m: m.of(
        "sq0atp-" + m.inner(URL, 22), "sq0csp-" + m.inner(URL, 43), "EAAA" + m.inner(URL, 60)
    ),
    "stripe_key": lambda m: m.of("sk_live_", "rk_live_") + m(AN, 24, 99),
    "stripe_test_key": lambda m: m.of("sk_test_", "rk_test_") + m(AN, 24, 99),
    "supabase_key": lambda m: m.of("sbp_" + m(HEX, 40), "sb_secret_" + m.inner(URL, 31)),
    "tailscale_key": lambda m: f"tskey-{m.of('auth', 'api', 'client')}-k{m(AN, 11)}CNTRL-{m(AN, 32)}",
    "tavily_key": lambda m: m.of("tvly-", "tvly-dev-", "tvly-prod-") + m(AN, 32),
    "telegram_bot_token": lambda m: f"{m('123456789', 1)}{m(DIGITS, 8, 9)}:AA{m.inner(URL, 33)}",
    "tencent_secret_id": lambda m: "AKID" + m(AN, 32),
    "terraform_token": lambda m: f"{m(AN, 14)}.atlasv1.{m.inner(URL, 67)}",
    "together_key": lambda m: "tgp_v1_" + m.inner(URL, 43),
    "twilio_key": lambda m: "SK" + m(HEX, 32),
    "twitter_bearer_token": lambda m: m("BCDEFGHIJKLMNOPQRSTUVWXYZ", 1) + m(AN, 80),
    "typeform_token": lambda m: "tfp_" + m.inner(URL, 44),
    "vault_token": lambda m: m.of("hvs.", "hvb.", "hvr.") + m.inner(URL, 90, 140),
    "vercel_token": lambda m: m.of("vcp_", "vci_") + m(AN, 56),
    "voyage_key": lambda m: "pa-" + m.inner(URL, 43),
    "webhook_signing_secret": lambda m: "whsec_" + m(AN, 32),
    "xai_key": lambda m: "xai-" + m(AN, 80),
    "yandex_key": lambda m: "AQVN" + m.inner(URL, 36),
}
IN_FRONT: Final = {"twitter_bearer_token": "A" * 21}
"""What comes before the part of a token that is reported."""

NAMED: Final[dict[str, tuple[tuple[str, ...], Callable[[Maker], str]]]] = {
    "algolia_admin_key": (("ALGOLIA_ADMIN_KEY", "algolia api key"), lambda m: m(HEX, 32)),
    "aws_secret_access_key": (("AWS_SECRET_ACCESS_KEY", "aws_secret", "SecretAccessKey"), lambda m: m(B64, 40)),
    "azure_openai_key_named": (("AZURE_OPENAI_API_KEY", "Ocp-Apim-Subscription-Key"), lambda m: m(HEX, 32)),
    "cloudflare_token": (("CLOUDFLARE_API_TOKEN", "CF_API_KEY", "cloudflare token"), lambda m: m.inner(AN, 40)),
    "cohere_key": (("COHERE_API_KEY", "cohere key", "cohere.api_key"), lambda m: m(AN, 40)),
    "datadog_key": (("DD_API_KEY", "datadog app key", "DATADOG_API_KEY"), lambda m: m.of(m(HEX, 32), m(HEX, 40))),
    "heroku_key_named": (("HEROKU_API_KEY", "heroku token"), Maker.uuid),
    "mistral_key": (("MISTRAL_API_KEY", "mistral key"), lambda m: m(AN, 32)),
    "okta_token": (("OKTA_API_TOKEN", "okta token"), lambda m: "00" + m.inner(URL, 40)),
    "pagerduty_key": (("PAGERDUTY_TOKEN", "pagerduty routing key"), lambda m: m.of("u+" + m.inner(AN, 18), m(HEX, 32))),
    "paypal_secret_named": (("PAYPAL_CLIENT_SECRET", "paypal secret"), lambda m: "E" + m.inner(URL, 79)),
    "postmark_token": (("POSTMARK_SERVER_TOKEN", "X-Postmark-Server-Token"), Maker.uuid),
    "speech_vendor_key": (("DEEPGRAM_API_KEY", "assemblyai key"), lambda m: m.of(m(HEX, 40), m(HEX, 32))),
    "together_key_named": (("TOGETHER_API_KEY", "together.api_key", "together ai key"), lambda m: m(HEX, 64)),
    "twilio_auth_token": (("TWILIO_AUTH_TOKEN", "twilio token"), lambda m: m(HEX, 32)),
    "vercel_token_named": (("VERCEL_TOKEN", "vercel token"), lambda m: m(AN, 24)),
    "wandb_key": (("WANDB_API_KEY", "wandb key"), lambda m: m(HEX, 40)),
}
SHAPED: Final[dict[str, tuple[str, Callable[[Maker], str]]]] = {
    "azure_storage_key": (
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};E=x",
        lambda m: m(B64, 86) + "==",
    ),
    "azure_shared_access_key": ("Endpoint=sb://a/;SharedAccessKey={};EntityPath=q", lambda m: m(B64, 43) + "="),
    "azure_sas_signature": ("https://a.blob.core.windows.net/c?sp=rw&sig={}&sv=2022", lambda m: m(AN, 43) + "%3D"),
    "slack_webhook": (
        "post to https://{} now",
        lambda m: f"hooks.slack.com/services/T{m(UP, 10)}/B{m(UP, 10)}/{m(AN, 24)}",
    ),
    "discord_webhook": (
        "url: 'https://{}'",
        lambda m: f"discord.com/api/webhooks/{m('123456789', 1)}{m(DIGITS, 18)}/{m.inner(URL, 68)}",
    ),
    "teams_webhook": (
        "https://acme.{}/x",
        lambda m: f"webhook.office.com/webhookb2/{m.uuid()}@{m.uuid()}/IncomingWebhook/{m(HEX, 32)}",
    ),
    "sentry_dsn": ("dsn=https://{}@o4501.ingest.sentry.io/123", lambda m: m(HEX, 32)),
    "ethereum_private_key": ('"privateKey": "{}"', lambda m: "0x" + m(HEX, 64)),
    "netrc": ("machine git.example.org\n  login jane\n  password {}\n", lambda m: m.inner(AN, 8, 30)),
    "npmrc_password": ("//registry.example.org/:_password={}\n", lambda m: m(AN, 24)),
    "password_hash": ("jane:{}:1000:", lambda m: m.of(f"$2b$12${m(AN, 53)}", f"$6${m(AN, 16)}${m(AN, 86)}")),
}
