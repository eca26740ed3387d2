"""README and docs/ name only what exists: commands with their options, settings, files, links, replies, reasons."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from gateway.cli.app import app
from gateway.commands import accounts
from gateway.commands.audit import audit
from gateway.commands.receive import receive
from gateway.configuration import NOT_SETTINGS, load
from gateway.core.outcome import Accepted, Reason
from gateway.ground import open_ground, prepare
from gateway.line import Line
from gateway.policy.document import PolicyDocument
from gateway.settings import Settings
from gateway.smtp.replies import TABLE
from gateway.store import message_reading, named
from gateway.store.blobs import INLINE_BYTES
from gateway.store.changes import NewAccount
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

KEYS = {
    f"{name}.{sub}"
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields")
    for sub in field.annotation.model_fields
}
SECTIONS = {key.partition(".")[0] for key in KEYS}
POLICY_SECTIONS = {
    name: set(field.annotation.model_fields)
    for name, field in PolicyDocument.model_fields.items()
    if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields")
}
PLACES = (ROOT, ROOT / "gateway", ROOT / "docs")
EXTENSIONS = ("py", "md", "j2", "yaml", "toml", "txt", "svg", "example")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, content) of the fenced and the indented code."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(
        r"(?<=\n\n)((?: {4}.*\n)+)", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    )
    return fenced + [("sh", block) for block in indented]


def prose(page: Path) -> str:
    """The page without its fenced code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def spans(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(page))


def command_lines(page: Path) -> Iterator[list[str]]:
    """Every `gateway …` in code, without the word itself."""
    lines = spans(page)
    for language, block in blocks(page):
        if language in ("", "sh"):
            lines += re.sub(r"\\\n", " ", block).splitlines()
    for line in lines:
        for part in re.split(r"\s#\s.*$|&&|[|;]", line):
            found = re.match(
                r"\s*(?:\$ |exec )?(?:sudo (?:-u gateway )?(?:[A-Z_]+=\S+ )*|docker compose exec gateway )?"
                r"(?:/opt/gateway/bin/)?gateway (.+)",
                part,
            )
            if found:
                yield shlex.split(found[1].replace("…", "").replace('"$@"', ""))


def problem_of(words: list[str]) -> str:
    """What is wrong with a command line, empty when all of it exists."""
    command: Any = typer.main.get_command(app)
    path = ["gateway"]
    while words and hasattr(command, "commands"):  # a group
        word = words.pop(0)
        if word == "--config":
            words = words[1:]
        elif word.startswith("-"):
            if word not in options_of(command):
                return f"{' '.join(path)} has no option {word}"
        elif word in command.commands:
            command = command.commands[word]
            path.append(word)
        else:
            return f"{' '.join(path)} has no command {word}"
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    unknown = given - options_of(command)
    return f"{' '.join(path)} has no option {', '.join(sorted(unknown))}" if unknown else ""


def options_of(command: Any) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}


@every_page
def test_every_command_and_option_exists(page: Path) -> None:
    wrong = [
        f"gateway {' '.join(words)}: {problem}" for words in command_lines(page) if (problem := problem_of([*words]))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_pages_do_name_commands_and_a_wrong_one_is_seen() -> None:
    named = [words for page in PAGES for words in command_lines(page)]
    assert len(named) > 50
    assert ["audit"] in named
    assert ["serve", "--role", "smtp,web"] in named
    assert problem_of(["outbox", "explode"]) == "gateway outbox has no command explode"
    assert problem_of(["log", "--sender", "x", "--colour"]) == "gateway log has no option --colour"


@every_page
def test_every_setting_exists(page: Path) -> None:
    named = {span for span in spans(page) if re.fullmatch(r"[a-z]+\.[a-z_]+", span)}
    settings = {
        name for name in named if name.partition(".")[0] in SECTIONS and name.rpartition(".")[2] not in EXTENSIONS
    }
    policies = {name for name in named if name.partition(".")[0] in POLICY_SECTIONS}

    assert settings <= KEYS
    for name in policies:
        section, _, key = name.partition(".")
        assert key in POLICY_SECTIONS[section], name


@every_page
def test_every_environment_variable_exists(page: Path) -> None:
    known = {"GATEWAY_" + key.upper().replace(".", "__") for key in (*KEYS, *Settings.model_fields)}
    named = set(re.findall(r"\bGATEWAY_[A-Z_]+\b", page.read_text(encoding="utf-8")))

    assert named <= known | NOT_SETTINGS


@every_page
def test_every_configuration_shown_is_one(page: Path, tmp_path: Path) -> None:
    for language, block in blocks(page):
        if language == "toml":
            (tmp_path / "gateway.toml").write_text(block)
            load(tmp_path / "gateway.toml", {})


def headings(page: Path) -> set[str]:
    """The anchors that renderers give to headings."""
    lines = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in headings(file), target


@every_page
def test_every_file_named_is_there(page: Path) -> None:
    shown = set(re.findall(r"`([\w./-]+)`:\n\n```", page.read_text(encoding="utf-8")))  # examples to be made
    for span in set(spans(page)) - shown:
        if not re.fullmatch(rf"[\w.][\w./-]*/(?:[\w.-]+\.(?:{'|'.join(EXTENSIONS)}))?", span) or "*" in span:
            continue
        made_at_run_time = {"blobs/", "var/demo/"}
        assert span in made_at_run_time or any((place / span).exists() for place in PLACES), span


@every_page
def test_no_page_names_a_registry_or_somebody_s_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for word in (
        "pypi",
        "docker.io",
        "ghcr.io",
        "quay.io",
        "files.pythonhosted",
        "/work/",
        "/root/",
        "/home/",
        "/Users/",
    ):
        assert word not in text, word


@every_page
def test_hosts_are_examples(page: Path) -> None:
    """RFC 2606: nobody's mail goes to a stranger because he copied a line."""
    for host in re.findall(r"[\w.+-]+@([a-z0-9-]+(?:\.[a-z0-9-]+)+)", page.read_text(encoding="utf-8")):
        assert re.search(r"\.(example|test|localhost)(-\w+\.eml)?$", host), host


def test_reasons_and_replies_of_late_mail_are_those_of_the_table() -> None:
    page = ROOT / "docs" / "operate" / "mail-is-late.md"
    rows = re.findall(
        r"^\| ((?:`[a-z-]+`(?:, )?)+) \| (\d{3} \d\.\d\.\d) \|", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    named = {}
    for reasons, reply in rows:
        for reason in re.findall(r"`([a-z-]+)`", reasons):
            code, enhanced, _ = TABLE[Reason(reason)]
            named[Reason(reason)] = f"{code} {enhanced}"
            assert named[Reason(reason)] == reply, reason
    deferring = {r for r, (code, _, _) in TABLE.items() if 400 <= code < 500} - {Reason.SHUTTING_DOWN}
    assert set(named) == deferring, "every 4xx that a customer's server may see has its row"


def script(page: str, first_line: str) -> str:
    (found,) = [
        b for language, b in blocks(ROOT / "docs/operate" / page) if language == "sh" and b.startswith(first_line)
    ]
    return found


def run(text: str) -> None:
    done = subprocess.run(["sh", "-c", text], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


LARGE = b"From: a@customer.test\r\nMessage-ID: <%d@customer.test>\r\n\r\n" + b"x" * 70 + b"\r\n"


def large_mail(n: int) -> bytes:
    return LARGE % n + (b"y" * 70 + b"\r\n") * (INLINE_BYTES // 72 + 1)


async def test_what_the_page_backs_up_from_a_running_gateway_is_whole(tmp_path: Path) -> None:
    """Also when a message with a blob comes between the database's copy and the blobs'."""
    data, restored, backup = tmp_path / "data", tmp_path / "restored", tmp_path / "backup"
    settings = load(
        None, {"GATEWAY_DATA_DIR": str(data), "GATEWAY_DOMAIN": "gw.test", "GATEWAY_CLAMAV__ADDRESS": "off"}
    )
    prepare(settings)
    ground = open_ground(settings)
    accounts.add_account(ground.store, ground.secret, settings, NewAccount("", "acme", "Acme", "", b"", ""))
    text = script("back-up-and-restore.md", "# back up\n").replace("/opt/gateway/bin/python", sys.executable)
    text = re.sub(r"^data=.*$", f"data={data}", text, flags=re.MULTILINE)
    text = re.sub(r"^backup=.*$", f"backup={backup}", text, flags=re.MULTILINE)
    database_first, then_blobs = text.split("# 3. the blobs")

    async with Line(ground) as line:
        for n in (1, 2):
            kept = await receive(line, large_mail(n), sender="a@customer.test", recipients=["support@acme.gw.test"])
            assert isinstance(kept, Accepted)
            if n == 1:
                run(database_first)
        run(re.sub(r"^mkdir .*$", "", text.split("# 1. the key")[0], flags=re.MULTILINE) + then_blobs)
    ground.close()

    restored.mkdir()
    text = script("back-up-and-restore.md", "# restore\n")
    text = re.sub(r"^data=.*$", f"data={restored}", text, flags=re.MULTILINE)
    run(re.sub(r"^backup=.*$", f"backup={backup}", text, flags=re.MULTILINE))

    again = open_ground(load(None, {"GATEWAY_DATA_DIR": str(restored), "GATEWAY_DOMAIN": "gw.test"}))
    report = audit(again.store, again.blobs)
    assert report.problems == []
    assert report.counts["accepted"] == 1
    assert report.counts["unowned blobs"] == 1
    again.blobs.put("a", "b", b"large mail is kept in the restored one")
    messages = message_reading.messages(again.store, named.account_id(again.store, "acme"))
    assert [m["message_id"] for m in messages] == ["1@customer.test"]
    again.close()


def test_a_backup_under_load_ended_before_the_key_was_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GNU tar's exit 1: the folder of the blobs changed while it was read. Now one comes and one goes meanwhile."""
    text = script("back-up-and-restore.md", "# back up\n")
    assert text.index("secret.key") < text.index("VACUUM INTO") < text.index("tarfile.open")
    folder = tmp_path / "blobs" / "account"
    folder.mkdir(parents=True)
    for beside in (".directory", "belongs-to"):
        (tmp_path / "blobs" / beside).touch()
    names = ("1", "2", "3", "half.tmp")
    for name in names:
        (folder / name).write_text(name)
    packed: list[str] = []
    plainly = tarfile.TarFile.add

    def as_mail_comes_in(tar: tarfile.TarFile, name: Path, arcname: str) -> None:
        if arcname == "blobs/belongs-to":
            plainly(tar, name, arcname)
            return
        packed.append(arcname)
        if len(packed) == 1:
            (folder / "new").write_text("new")
            for gone in {"1", "2", "3"} - {name.name}:
                (folder / gone).unlink()
        plainly(tar, name, arcname)

    monkeypatch.setattr(tarfile.TarFile, "add", as_mail_comes_in)
    monkeypatch.setattr(sys, "argv", ["-", str(tmp_path / "blobs"), str(tmp_path / "blobs.tar")])
    exec(compile(text.split("<<'END'\n")[2].split("END\n")[0], "the page", "exec"), {})

    assert sorted(packed) == [f"blobs/account/{n}" for n in "123"]
    with tarfile.open(tmp_path / "blobs.tar") as tar:
        assert tar.getnames() == ["blobs/belongs-to", *packed[:1]]


def test_the_copied_database_needs_no_file_beside_it(tmp_path: Path) -> None:
    """Why the page does not say `cp`: what was committed last lies in the write-ahead log."""
    source, copy = tmp_path / "gateway.db", tmp_path / "copy.db"
    with sqlite3.connect(source) as writer:
        writer.execute("PRAGMA journal_mode=WAL").close()
        writer.execute("CREATE TABLE t (x)").close()
    text = script("back-up-and-restore.md", "# back up\n")
    python = text.split("<<'END'\n")[1].split("END\n")[0]
    subprocess.run([sys.executable, "-", source, copy], check=True, input=python, text=True)
    writer.close()

    with sqlite3.connect(copy) as reader:
        assert reader.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (1,)
    reader.close()
