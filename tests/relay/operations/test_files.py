"""The files that relays are run with: they parse, and name only what there is."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from llmtrace_relay import listening
from llmtrace_sdk import cli, config
from llmtrace_sdk.config import environment
from llmtrace_sdk.config.relay import address_of
from llmtrace_sdk.config.settings import Settings
from tests.relay.operations import composing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[3]
RELAY = ROOT / "relay"
FILES = (
    "Dockerfile",
    "Dockerfile.dockerignore",
    "compose.yaml",
    "collector-clickhouse.yaml",
    "llmtrace-relay.service",
    "kubernetes.yaml",
)
PROBES = {"/health", "/ready", "/live"}
ADMIN_KEY = "0123456789abcdef" * 4


def settings_of(environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, file: Path | None = None) -> Settings:
    """The settings of a relay in that environment, as long as it would start; keys that nobody knows fail."""
    known = environment.names().keys() | environment.NOT_SETTINGS
    ours = {name: value for name, value in environ.items() if name.startswith("LLMTRACE_")}
    assert not ours.keys() - known
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    loaded = config.read(str(file) if file else None)
    assert not loaded.notices
    assert listening.refusal_to_listen(loaded.settings) is None
    return loaded.settings


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile."""
    text = (RELAY / "Dockerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    found = (line.strip().partition(" ") for line in whole.splitlines() if line.strip())
    return [(word, rest.strip()) for word, _, rest in found]


def image_environment() -> dict[str, str]:
    pairs = [pair for word, rest in instructions() if word == "ENV" for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in pairs)


def options_of(words: list[str]) -> Any:
    """The options of a command line of `llmtrace`, which must be ones that there are."""
    return cli._parser().parse_args(words)


@pytest.mark.parametrize("name", FILES)
def test_no_file_names_a_secret_or_a_package_index(name: str) -> None:
    text = (RELAY / name).read_text("utf-8")
    assert not re.search(r"pypi|--index-url|--extra-index|--trusted-host|find-links", text, re.IGNORECASE)
    assert not re.search(r"(?:password|key|secret)=[0-9a-f]{8,}", text, re.IGNORECASE)
    assert "\t" not in text
    assert text.endswith("\n")


def test_the_image_runs_the_relay_as_nobody_in_particular(monkeypatch: pytest.MonkeyPatch) -> None:
    found = instructions()
    last = found[[at for at, (word, _) in enumerate(found) if word == "FROM"][-1] :]
    words = dict(last)
    assert sum(word == "FROM" for word, _ in found) == 2
    assert words["USER"] == "10001:10001"
    assert json.loads(words["ENTRYPOINT"]) == ["llmtrace", "relay"]
    assert options_of([*json.loads(words["ENTRYPOINT"])[1:]]).workers == 1
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"]["llmtrace"] == "llmtrace_sdk.cli:main"
    extras = next(rest.partition("=")[2] for word, rest in found if word == "ARG" and rest.startswith("EXTRAS"))
    assert {"relay", "postgres"} <= set(extras.split(",")) <= project["optional-dependencies"].keys()
    keys = {"LLMTRACE_AUTH_ENABLED": "true", "LLMTRACE_AUTH_ADMIN_KEY": ADMIN_KEY}
    settings = settings_of({**image_environment(), **keys}, monkeypatch)
    assert address_of(settings.listen_addr) == ("0.0.0.0", int(words["EXPOSE"]))
    for path in (settings.storage.database_path, settings.storage.spool_path):
        assert Path(str(path)).is_relative_to(words["VOLUME"])


def test_the_image_does_not_start_open_to_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in image_environment().items():
        monkeypatch.setenv(name, value)
    assert listening.refusal_to_listen(config.load()) is not None


def test_the_image_is_made_of_files_that_there_are() -> None:
    let_in = {line[1:] for line in (RELAY / "Dockerfile.dockerignore").read_text("utf-8").split() if line[0] == "!"}
    copied = [rest.split() for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    sources = {source for *names, _ in copied for source in names}
    assert sources == let_in
    assert all((ROOT / source).exists() for source in sources)
    # what the build reads of the project
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    read = {project["project"]["readme"], *project["project"]["license-files"]}
    read |= set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert all(any(Path(name).is_relative_to(source) for source in sources) for name in read)


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server that gives one status, and the paths that it was asked for."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
def test_the_image_s_health_check_works(status: int, well: bool) -> None:
    rest = next(rest for word, rest in instructions() if word == "HEALTHCHECK")
    flags, _, command = rest.partition(" CMD ")
    assert set(re.findall(r"--([a-z-]+)=", flags)) <= {"interval", "timeout", "start-period", "retries"}
    python, option, code = json.loads(command)
    assert (python, option) == ("python", "-c")
    assert "8080" in code
    with answering(status) as (port, asked):
        done = subprocess.run(
            [sys.executable, "-c", code.replace("8080", str(port))], check=False, timeout=20, capture_output=True
        )
    assert (done.returncode == 0) == well, done.stderr
    assert set(asked) <= PROBES
    assert asked


def compose() -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load((RELAY / "compose.yaml").read_text("utf-8"))
    return tree


def test_the_compose_file_is_one() -> None:
    tree = compose()
    assert composing.problems(tree) == []
    for service in tree["services"].values():
        image = service.get("image", "")
        assert not image or re.search(r":[0-9][0-9A-Za-z.-]*$", image), "a version, not whatever is the latest"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
    build = tree["services"]["relay"]["build"]
    assert (RELAY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()


def test_the_compose_file_s_relay_would_start(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = compose()
    relay = tree["services"]["relay"]
    given = {"LLMTRACE_AUTH_ADMIN_KEY": ADMIN_KEY, "POSTGRES_PASSWORD": "abc"}
    for missing in given:
        with pytest.raises(KeyError):
            [composing.filled(text, {**given, missing: ""}) for text in relay["environment"].values()]
    environ = {name: composing.filled(text, given) for name, text in relay["environment"].items()}
    settings = settings_of({**image_environment(), **environ}, monkeypatch)
    assert (settings.storage.profile, settings.auth.enabled) == ("production", True)
    assert options_of(["relay", *relay["command"]]).workers > 1
    # what it names is there, and its data are on a volume
    hosts = set(re.findall(r"(?:@|//)([a-z]+):\d+", " ".join(environ.values())))
    assert hosts == {"postgres", "valkey", "jaeger"}
    assert hosts <= tree["services"].keys()
    assert relay["volumes"][0].partition(":")[2] == dict(instructions())["VOLUME"]
    port = settings.listen_addr.rpartition(":")[2]
    assert [each.rpartition(":")[2] for each in relay["ports"]] == [port]
    assert int(relay["stop_grace_period"].rstrip("s")) > settings.shutdown.timeout_seconds
    # PostgreSQL is made with the names that the relay calls it by
    postgres = tree["services"]["postgres"]["environment"]
    url = settings.storage.postgres_url
    expected = f"postgresql://{postgres['POSTGRES_USER']}:abc@postgres:5432/{postgres['POSTGRES_DB']}"
    assert url == expected


def test_what_is_not_asked_for_needs_nothing() -> None:
    tree = compose()
    optional = {name for name, service in tree["services"].items() if service.get("profiles")}
    assert optional == {"collector", "clickhouse"}
    for name, service in tree["services"].items():
        if name not in optional:
            assert not optional & service.get("depends_on", {}).keys()
        else:
            values = service.get("environment", {}).values()
            assert all(composing.filled(text, {}) is not None for text in values)


def test_the_collector_takes_what_relays_send_and_knows_its_neighbours() -> None:
    tree = compose()
    collector = tree["services"]["collector"]
    source, target, _ = collector["volumes"][0].split(":")
    assert collector["command"] == [f"--config={target}"]
    settings = yaml.safe_load((RELAY / source).read_text("utf-8"))
    for pipeline in settings["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= settings[kind].keys()
    used = {name for pipeline in settings["service"]["pipelines"].values() for name in pipeline["exporters"]}
    assert used == settings["exporters"].keys()
    clickhouse = settings["exporters"]["clickhouse"]
    named = {match for exporter in settings["exporters"].values() for match in _hosts(exporter["endpoint"])}
    assert named == {"clickhouse", "jaeger"}
    made = tree["services"]["clickhouse"]["environment"]
    assert (clickhouse["username"], clickhouse["database"]) == (made["CLICKHOUSE_USER"], made["CLICKHOUSE_DB"])
    variable = re.fullmatch(r"\$\{env:(\w+)\}", clickhouse["password"])
    assert variable
    assert variable[1] in collector["environment"]
    batch = clickhouse["sending_queue"]["batch"]
    assert batch["min_size"] <= batch["max_size"] <= clickhouse["sending_queue"]["queue_size"]
    port = settings["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    assert f"OTLP_ENDPOINT=http://collector:{port}" in (RELAY / "compose.yaml").read_text("utf-8")


def _hosts(endpoint: str) -> list[str]:
    return re.findall(r"//([a-z]+):\d+", endpoint)


def unit() -> dict[str, list[str]]:
    """The directives of the systemd unit; one may be given several times."""
    found: dict[str, list[str]] = {}
    for line in (RELAY / "llmtrace-relay.service").read_text("utf-8").splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_starts_the_relay() -> None:
    directives = unit()
    binary, *words = shlex.split(directives["ExecStart"][0])
    assert binary.endswith("/bin/llmtrace")
    assert options_of(words).workers > 1
    named = {pair.partition("=")[0] for line in directives["Environment"] for pair in shlex.split(line)}
    assert {name for name in named if name.startswith("LLMTRACE_")} <= environment.NOT_SETTINGS
    assert int(directives["TimeoutStopSec"][0].rstrip("s")) > Settings().shutdown.timeout_seconds
    text = (RELAY / "llmtrace-relay.service").read_text("utf-8")
    mentioned = set(re.findall(r"LLMTRACE_[A-Z_]+", text))
    assert mentioned <= environment.names().keys() | environment.NOT_SETTINGS
    assert directives["WorkingDirectory"] == [f"/var/lib/{directives['StateDirectory'][0]}"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed; apt install systemd")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = (RELAY / "llmtrace-relay.service").read_text("utf-8")
    there = tmp_path / "llmtrace-relay.service"
    there.write_text(text.replace("/opt/llmtrace/bin/llmtrace", sys.executable), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(there)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "llmtrace-relay" not in done.stderr


def manifests() -> dict[str, dict[str, Any]]:
    found = yaml.safe_load_all((RELAY / "kubernetes.yaml").read_text("utf-8"))
    return {each["kind"]: each for each in found}


def test_the_manifests_belong_together() -> None:
    found = manifests()
    assert found.keys() == {"ConfigMap", "Deployment", "Service", "PodDisruptionBudget"}
    pod = found["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert found["PodDisruptionBudget"]["spec"]["minAvailable"] < found["Deployment"]["spec"]["replicas"]
    (container,) = pod["spec"]["containers"]
    assert options_of(["relay", *container["args"]]).workers > 1
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()
    assert volumes["config"]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
    assert str(pod["spec"]["securityContext"]["runAsUser"]) == dict(instructions())["USER"].partition(":")[0]


def test_the_manifests_configure_a_relay_that_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = manifests()
    (name, text), *more = found["ConfigMap"]["data"].items()
    assert not more
    file = tmp_path / name
    file.write_text(text, "utf-8")
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    told = "\n".join(line for line in (RELAY / "kubernetes.yaml").read_text("utf-8").splitlines() if line[:1] == "#")
    secrets = dict(re.findall(r"--from-literal=([a-z-]+)=\"?(\S+)", told))
    values = {"admin-key": ADMIN_KEY, "state-secret": "s" * 32}
    environ = image_environment()
    for entry in container["env"]:
        if "value" in entry:
            environ[entry["name"]] = entry["value"]
            continue
        reference = entry["valueFrom"]["secretKeyRef"]
        assert f"create secret generic {reference['name']}" in told
        environ[entry["name"]] = values.get(reference["key"], secrets[reference["key"]])
    assert environ.pop("LLMTRACE_CONFIG") == f"{mounts['config']}/{name}"
    settings = settings_of(environ, monkeypatch, file)
    assert (settings.storage.profile, settings.auth.enabled) == ("production", True)
    assert Path(str(settings.storage.spool_path)).is_relative_to(mounts["data"])
    (port,) = container["ports"]
    assert address_of(settings.listen_addr) == ("0.0.0.0", port["containerPort"])
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in PROBES
        assert asked["port"] == port["name"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/live"
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > pause + settings.shutdown.timeout_seconds
