"""docker/: what can be known of image and compose file without a Docker daemon."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import olefile
import pytest
from ruamel.yaml import YAML

from gateway.configuration import load
from tests.conftest import ROOT

DOCKER = ROOT / "docker"
ENVIRONMENT = {
    "GATEWAY_HOSTNAME": "mx.gateway.example",
    "GATEWAY_DOMAIN": "gateway.example",
    "POSTGRES_PASSWORD": "s3cret",
}


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of the Dockerfile, continuation lines joined, without comments."""
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines if line.strip()]


def last(word: str) -> str:
    return [rest for w, rest in instructions() if w == word][-1]


def image_settings() -> dict[str, str]:
    """What the last stage sets by ENV."""
    pairs = (pair.partition("=") for pair in shlex.split(last("ENV")))
    return {name: value for name, _, value in pairs}


def compose() -> dict[str, Any]:
    return YAML(typ="safe").load((DOCKER / "compose.yaml").read_text())


def filled(value: str) -> str:
    """Compose's own substitution: ${NAME:?why} and ${NAME:-else}."""
    return re.sub(r"\$\{(\w+):([?-])([^}]*)\}", lambda m: ENVIRONMENT[m[1]] if m[2] == "?" else m[3], value)


def test_the_last_stage_runs_as_a_plain_user_that_it_makes() -> None:
    uid = last("USER").partition(":")[0]
    assert uid.isdigit()
    assert int(uid) >= 10_000
    assert any(word == "RUN" and f"useradd --uid {uid}" in rest for word, rest in instructions())


def test_nothing_but_the_program_is_copied_and_no_argument_carries_a_secret() -> None:
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    allowed = {"docker/requirements.txt", "pyproject.toml", "README.md", "LICENSE", "gateway", "templates"}
    assert {source for sources in copied for source in sources} == allowed
    assert all((ROOT / source).exists() for source in allowed)
    assert not [rest for word, rest in instructions() if word in ("ARG", "ADD")]
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == allowed


def test_packages_come_by_their_hashes() -> None:
    runs = [rest for word, rest in instructions() if word == "RUN" and " install " in rest and "pip" in rest]
    for command in re.findall(r"pip [^&|]*install[^&|]*", " && ".join(runs)):
        assert "--require-hashes" in command or "--no-deps --no-build-isolation ." in command, command


def test_the_package_that_builds_the_others_is_found_in_the_lock() -> None:
    (script,) = re.findall(r"sed -n '([^']+)' requirements.txt", (DOCKER / "Dockerfile").read_text())
    found = subprocess.run(
        ["sed", "-n", script, DOCKER / "requirements.txt"], check=True, capture_output=True, text=True
    )
    assert re.fullmatch(r"setuptools==[\d.]+ \\\n( +--hash=sha256:\w{64}( \\)?\n)+", found.stdout)


def pins(lock: Path) -> set[str]:
    """`name==version ; marker` of each package."""
    lines = re.findall(r"^([^ #].*==.*?)( \\\\)?$", lock.read_text(), re.MULTILINE)
    return {line for line, _ in lines}


def test_the_image_has_the_optional_packages_and_else_what_every_installation_has() -> None:
    """`yara.rules` and the rules' `language` were refused in the image, where nobody can install what they need."""
    plain, image = pins(ROOT / "requirements.txt"), pins(DOCKER / "requirements.txt")
    assert plain < image <= pins(ROOT / "requirements-dev.txt")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {re.split(r"[\[><=]", package)[0] for name in ("yara", "language") for package in extras[name]}
    assert wanted <= {line.partition("==")[0] for line in image - plain}


def test_what_the_image_compiles_can_be_compiled(tmp_path: Path) -> None:
    """olefile has a file for Python 2 in it: compileall ended with 1, and the build with it."""
    (run,) = [rest for word, rest in instructions() if word == "RUN" and "compileall" in rest]
    arguments = shlex.split(run.partition("-m compileall")[2])[:-1]
    library = tmp_path / "lib" / "python3" / "site-packages"
    shutil.copytree(Path(olefile.__file__).parent, library / "olefile")
    done = subprocess.run([sys.executable, "-m", "compileall", *arguments, tmp_path / "lib"], check=False)
    assert done.returncode == 0
    assert list(library.rglob("olefile.*.pyc"))


def test_ports_volume_and_end_are_what_the_settings_say() -> None:
    settings = load(None, {k: v for k, v in image_settings().items() if k.startswith("GATEWAY_")})
    listening = [address.rpartition(":")[2] for address in (*settings.smtp.listen, settings.http.listen)]
    assert last("EXPOSE").split() == listening
    assert last("VOLUME") == str(settings.data_dir)
    assert last("STOPSIGNAL") == "SIGTERM"
    assert json.loads(last("ENTRYPOINT")) == ["gateway"]


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (500, 1)])
def test_the_health_check_is_what_readyz_says(status: int, code: int) -> None:
    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    command = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    server = HTTPServer(("127.0.0.1", 0), Ready)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script = command[-1].replace("8080", str(server.server_port))
    try:
        done = subprocess.run(
            [sys.executable, *command[1:-1], script], check=False, env={"http_proxy": "http://127.0.0.1:9"}
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == code


def test_every_image_is_pinned_by_a_tag() -> None:
    images = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    images += [service["image"] for service in compose()["services"].values()]
    for image in images:
        _, _, tag = image.rpartition("/")[2].partition(":")
        assert re.match(r"\d", tag), f"{image}: name a version"


@pytest.mark.parametrize("service", ["gateway", "migrate"])
def test_every_variable_of_the_compose_file_is_a_setting(service: str) -> None:
    given = {name: filled(value) for name, value in compose()["services"][service]["environment"].items()}
    assert given
    assert all(name.startswith("GATEWAY_") for name in given)
    settings = load(None, image_settings_of_gateway() | given)  # an unknown one, or one of the wrong form, raises

    assert settings.database_url == "postgresql://gateway:s3cret@postgres:5432/gateway"
    assert settings.clamav.address == "tcp://clamav:3310"
    assert settings.relay.url == ()


def image_settings_of_gateway() -> dict[str, str]:
    return {k: v for k, v in image_settings().items() if k.startswith("GATEWAY_")}


def test_the_example_environment_names_what_the_compose_file_asks_for() -> None:
    text = (DOCKER / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+)", text))
    offered = set(re.findall(r"^#? ?([A-Z_]+)=", (DOCKER / "env.example").read_text(), re.MULTILINE))
    assert asked == offered
    required = set(re.findall(r"\$\{(\w+):\?", text))
    assert required == set(re.findall(r"^([A-Z_]+)=", (DOCKER / "env.example").read_text(), re.MULTILINE))


def test_only_the_gateway_publishes_ports_and_http_only_to_this_machine() -> None:
    published = {name: service["ports"] for name, service in compose()["services"].items() if "ports" in service}
    assert list(published) == ["gateway"]
    assert [p for p in published["gateway"] if p.endswith(":8080")] == ["127.0.0.1:8080:8080"]


def test_the_database_is_reached_by_the_gateway_alone() -> None:
    found = compose()
    assert found["networks"]["database"]["internal"] is True
    assert found["services"]["postgres"]["networks"] == ["database"]
    on_it = {name for name, service in found["services"].items() if "database" in service["networks"]}
    assert on_it == {"postgres", "gateway", "migrate"}


def test_the_schema_is_upgraded_once_before_the_gateway_starts() -> None:
    services = compose()["services"]
    assert services["migrate"]["command"] == ["db", "upgrade"]
    assert services["migrate"]["restart"] == "no"
    assert services["gateway"]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert services["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}


def test_the_secret_key_is_mounted_and_never_in_the_repository() -> None:
    found = compose()
    ((name, secret),) = found["secrets"].items()
    for service in ("gateway", "migrate"):
        assert found["services"][service]["secrets"] == [name]
        assert found["services"][service]["environment"]["GATEWAY_SECRET_KEY_FILE"] == f"/run/secrets/{name}"
    ignored = (DOCKER / ".gitignore").read_text().split()
    assert {Path(secret["file"]).name, ".env"} <= set(ignored)


def test_every_service_has_limits_and_says_how_it_fares() -> None:
    for name, service in compose()["services"].items():
        assert service["mem_limit"], name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
        if name not in ("gateway", "migrate"):  # the image's own
            assert service["healthcheck"]["test"][0] == "CMD"


def test_docker_waits_longer_than_the_gateway_needs_to_stop() -> None:
    settings = load(None, image_settings_of_gateway())
    grace = int(compose()["services"]["gateway"]["stop_grace_period"].removesuffix("s"))
    assert grace > settings.shutdown_grace_seconds + 10
