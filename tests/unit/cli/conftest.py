"""Commands run in this process against a real store; what must be a process of its own (the line, `serve`) is one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main

CONFIG = """
hostname = "mx.gw.test"
domain = "gw.test"
data_dir = "var"
[smtp]
listen = ["127.0.0.1:0"]
[http]
listen = "127.0.0.1:0"
[clamav]
address = "off"
[relay]
url = ["smtp+starttls://gateway:sesame@127.0.0.1:587"]
[dns]
zone_file = "zone"
nameservers = ["127.0.0.1"]
port = 9
timeout_seconds = 0.2
"""
ZONE = """
. 60 IN SOA ns. h. 1 1 1 1 1
customer.test. 60 IN TXT "v=spf1 ip4:127.0.0.9 -all"
_dmarc.customer.test. 60 IN TXT "v=DMARC1; p=reject"
"""
POLICY = """
block:
  - sender: {wildcard: "*@spam.test"}
rules:
  - name: urgent
    if: {subject: {contains: urgent}}
    then:
      - set: {priority: high}
      - tag: [vip]
  - name: wait
    if: {subject: {contains: suspicious}}
    then: [quarantine]
"""
ESCAPE = "\x1b[31mred\x1b]0;title\x07 \x9b1mC1 \u202eturned"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on standard output; anything else there is an error."""
        assert self.out.endswith("\n")
        return json.loads(self.out)


@dataclass
class Cli:
    """`gateway --config …` in a folder of its own."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, code: int = 0) -> Done:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(self.folder / "gateway.toml"), *arguments])
        done = Done(int(ended.value.code or 0), *self.capsys.readouterr())
        assert done.code == code, done.err
        return done

    def process(self, *arguments: str, stdin: bytes = b"", code: int = 0) -> Done:
        ended = subprocess.run(
            [*command(self.folder), *arguments],
            input=stdin,
            capture_output=True,
            timeout=150,
            env=environment(),
            check=False,
        )
        assert ended.returncode == code, ended.stderr.decode()
        return Done(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, "utf-8")
        return str(self.folder / name)


def command(folder: Path) -> list[str]:
    run = "from gateway.cli.main import main; main()"
    return [sys.executable, "-c", run, "--config", str(folder / "gateway.toml")]


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}


def compose(author: str, subject: str, text: str = "It leaks.\n", program: bool = False, fields: int = 0) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = author, "support@acme.test", subject
    message["Message-ID"] = f"<{subject.split(maxsplit=1)[0]}@customer.test>"
    for number in range(fields):
        message[f"X-{number}"] = "x"
    message.set_content(text)
    if program:
        content = b"MZ" + b"\0" * 58 + b"\x80\0\0\0" + b"\0" * 64 + b"PE\0\0"
        message.add_attachment(content, maintype="application", subtype="pdf", filename="setup.pdf")
    return message.as_bytes()


MAIL = [
    (
        compose(
            "Carol <carol@customer.test>",
            f"urgent pump {ESCAPE}",
            f"It leaks. {ESCAPE}\n[bold]not markup[/bold]\n",
            True,
        ),
        0,
    ),
    (compose("carol@customer.test", "suspicious offer"), 0),
    (compose("carol@customer.test", "parked mail", fields=1001), 0),
    (compose("x@spam.test", "refused mail"), 65),
]

_FILL = """
import io, sys
from gateway.cli.main import main
config, *files = sys.argv[1:]
def run(*arguments, stdin=b""):
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        main(["--config", config, *arguments])
    except SystemExit as end:
        return end.code
run("db", "upgrade")
run("account", "add", "acme", "--company-name", "Acme", "--number-prefix", "A-")
run("mailbox", "add", "support@acme.test", "--account", "acme", "--name", "Acme Support", "--default", "--team", "support")
run("agent", "add", "ann@acme.test", "--account", "acme", "--name", "Ann", "--team", "support")
run("policy", "publish", files.pop(0), "--account", "acme", "--yes", "--note", "the first")
for file in files:
    sender = "x@spam.test" if file.endswith("3.eml") else "carol@customer.test"
    with open(file, "rb") as content:
        code = run("receive", "--sender", sender, "--recipient", "support@acme.gw.test", "--client-ip", "127.0.0.9", "--helo", "mx.customer.test", stdin=content.read())
    print("exit", code)
"""


@pytest.fixture(scope="session")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An account with a mailbox, an agent, a policy, and a message of each fate; made once."""
    folder = tmp_path_factory.mktemp("world")
    for name, text in (("gateway.toml", CONFIG), ("zone", ZONE), ("policy.yaml", POLICY)):
        (folder / name).write_text(text)
    files = []
    for number, (content, _) in enumerate(MAIL):
        (folder / f"{number}.eml").write_bytes(content)
        files.append(str(folder / f"{number}.eml"))
    arguments = [str(folder / "gateway.toml"), str(folder / "policy.yaml"), *files]
    made = subprocess.run(
        [sys.executable, "-c", _FILL, *arguments], capture_output=True, text=True, env=environment(), check=False
    )
    codes = [int(x.split()[1]) for x in made.stdout.splitlines() if x.startswith("exit ")]
    assert codes == [code for _, code in MAIL], made.stdout + made.stderr
    return folder


@pytest.fixture
def bare(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A configuration and nothing else."""
    _clean_environment(monkeypatch)
    (tmp_path / "gateway.toml").write_text(CONFIG)
    (tmp_path / "zone").write_text(ZONE)
    return Cli(tmp_path, capsys)


@pytest.fixture
def cli(_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The filled world, a copy for each test; the account is named by GATEWAY_ACCOUNT."""
    _clean_environment(monkeypatch)
    monkeypatch.setenv("GATEWAY_ACCOUNT", "acme")
    shutil.copytree(_world, tmp_path / "world")
    return Cli(tmp_path / "world", capsys)


def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)
