"""Every message of the corpora, sent over SMTP: 250 or a deliberate 5xx, kept byte for byte, never an exception."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from pathlib import Path

import pytest

from gateway.commands.audit import audit
from tests.servers.inprocess import Gateway, Reply, fresh_ground, make_seed, running

NO_MESSAGES = {".json", ".pl", ".md"}
DELIBERATE = {"5.3.4", "5.4.6", "5.6.0", "5.6.1", "5.7.1", "5.7.26"}
LINE_END = re.compile(rb"\r\n|\r|\n")


FOLDERS = ("messages", "bounces/messages", "replies/emails", "replies/clients")


def files(corpora: Path) -> list[Path]:
    found = [p for folder in FOLDERS for p in (corpora / folder).rglob("*") if p.is_file()]
    return sorted(p for p in found if p.suffix not in NO_MESSAGES and "LICENSE" not in p.name and "_text" not in p.name)


def messages(corpora: Path) -> dict[str, bytes]:
    """By path; what Outlook wraps as winmail.dat (TNEF) lies bare in its folder, and comes as the attachment it was."""
    found = {str(p.relative_to(corpora)): p.read_bytes() for p in files(corpora)}
    return found | {str(p.relative_to(corpora)): as_attachment(p) for p in sorted((corpora / "tnef").glob("*.tnef"))}


def as_attachment(tnef: Path) -> bytes:
    head = [
        "From: Outlook <outlook@elsewhere.test>",
        f"Subject: {tnef.name}",
        f"Message-ID: <{tnef.name}@elsewhere.test>",
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="=_b"',
    ]
    text = ["--=_b", "Content-Type: text/plain", "", "See what is wrapped."]
    wrapped = ["--=_b", 'Content-Type: application/ms-tnef; name="winmail.dat"', "Content-Transfer-Encoding: base64"]
    body = [*text, *wrapped, "", base64.encodebytes(tnef.read_bytes()).decode().strip(), "--=_b--", ""]
    return "\n".join([*head, "", *body]).encode()


def with_crlf(content: bytes) -> bytes:
    """As the MTA that has the file would send it."""
    content = LINE_END.sub(b"\r\n", content)
    return content if content.endswith(b"\r\n") else content + b"\r\n"


async def send_all(gateway: Gateway, contents: dict[str, bytes], sessions: int = 4) -> dict[str, Reply]:
    waiting = list(contents)
    replies: dict[str, Reply] = {}

    async def session() -> None:
        while waiting:
            name = waiting.pop()
            # each copy to an address of its own: the corpora hold some messages twice
            local = hashlib.sha256(name.encode()).hexdigest()[:16]
            # and in a session of its own: one that had many refusals is closed
            async with gateway.client() as client:
                replies[name] = await client.mail(contents[name], f"{local}@acme.gw.test", sender="<a@elsewhere.test>")

    await asyncio.gather(*(session() for _ in range(sessions)))
    return replies


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What any room logged as an error."""
    told: list[str] = []

    def error(self: object, event: str, **values: object) -> None:
        told.append(f"{event}: {values.get('exc_info')!r}")

    import structlog

    monkeypatch.setattr(structlog.get_config()["wrapper_class"], "error", error)
    return told


@pytest.mark.parametrize("ends", ["crlf", "as they are"])
async def test_every_message_is_kept_as_it_came_or_refused_on_purpose(
    corpora: Path, tmp_path: Path, broken: list[str], ends: str
) -> None:
    raw = messages(corpora)
    for folder, least in (("messages", 150), ("bounces", 270), ("replies", 40), ("tnef", 5)):
        assert sum(name.startswith(folder) for name in raw) >= least, folder
    contents = {n: with_crlf(c) for n, c in raw.items()} if ends == "crlf" else {
        n: c if c.endswith(b"\r\n") else c + b"\r\n" for n, c in raw.items()
    }  # fmt: skip
    ground = fresh_ground(make_seed(tmp_path / "seed"), tmp_path / "data")
    async with running(ground) as gateway:
        replies = await send_all(gateway, contents)
        kept = {m["trace"]: m for m in gateway.messages()}
        for name, content in contents.items():
            reply = replies[name]
            assert reply.code == 250 or reply.enhanced in DELIBERATE, (name, str(reply))
            if reply.code == 250:
                message = kept[reply.trace]
                assert message["reason"] != "crashed", name
                assert gateway.raw(message["id"]) == content, name
            elif ends == "crlf":
                # once its line ends are right, nothing of the framing is left to refuse
                assert reply.enhanced != "5.6.0", name
        report = audit(ground.store, ground.blobs)
    assert broken == []
    assert report.problems == []
    if ends == "crlf":
        assert sum(r.code == 250 for r in replies.values()) >= 0.95 * len(replies)
