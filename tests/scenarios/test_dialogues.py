"""Written dialogues against the gateway: `dialogues/*.dialogue`, whose language `dialogues/README.md` explains."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scenarios.legality import legal_line
from tests.servers.inprocess import Client, Gateway

FOLDER = Path(__file__).parent / "dialogues"
SCRIPTS = sorted(FOLDER.glob("*.dialogue"))
SECONDS = 60
_STEP = re.compile(r"(?P<who>[a-z]) (?P<verb>connect|close|gone|->|~>|<-|<~|<\.\.\.)(?: (?P<text>.*))?")
_KEPT = re.compile(r"kept (\d+)")


@dataclass(frozen=True)
class Step:
    """One line of a script; `who` is empty for what is looked at behind the scenes."""

    place: str
    who: str
    verb: str
    text: str


def read(script: Path) -> Iterator[Step]:
    for number, line in enumerate(script.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        place = f"{script.name}:{number}"
        if kept := _KEPT.fullmatch(line):
            yield Step(place, "", "kept", kept[1])
        elif found := _STEP.fullmatch(line):
            yield Step(place, found["who"], found["verb"], found["text"] or "")
        else:
            raise ValueError(f"{place}: no step of a dialogue: {line!r}")


class Player:
    """Plays one script; its clients are told apart by their letters."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.clients: dict[str, Client] = {}

    async def play(self, script: Path) -> None:
        try:
            for step in read(script):
                await self.step(step)
            for who, client in self.clients.items():
                client.half_close()
                rest = await asyncio.wait_for(client.reader.read(), SECONDS)
                assert rest == b"", f"{script.name}: {who} was told more than the script says: {rest!r}"
        finally:
            for client in self.clients.values():
                await client.close()

    async def step(self, step: Step) -> None:
        match step.verb:
            case "connect":
                await self.connect(step.who)
            case "close":
                await self.clients.pop(step.who).close()
            case "gone":
                line = await asyncio.wait_for(self.clients[step.who].reader.readline(), SECONDS)
                assert line == b"", f"{step.place}: not closed, but {line!r}"
                await self.clients.pop(step.who).close()
            case "->":
                await self.clients[step.who].send(step.text.encode() + b"\r\n")
            case "~>":
                await self.clients[step.who].send(octets(step))
            case "kept":
                kept = len(self.gateway.messages())
                assert kept == int(step.text), f"{step.place}: {kept} messages are kept"
            case _:
                await self.hear(step)

    async def connect(self, who: str) -> None:
        if who in self.clients:
            await self.clients.pop(who).close()
        self.clients[who] = Client(*await asyncio.open_connection("127.0.0.1", self.gateway.port))

    async def hear(self, step: Step) -> None:
        line = await self.line(step)
        awaited = step.text if "-" in step.text else step.text + " "
        while step.verb == "<..." and not line.startswith(awaited):
            assert line[3:4] == "-", f"{step.place}: no line began with {step.text!r}, the last was {line!r}"
            line = await self.line(step)
        if step.verb == "<-":
            assert line == step.text, f"{step.place}: {line!r}"
        elif step.verb == "<~":
            assert re.match(step.text, line), f"{step.place}: {line!r} does not match {step.text!r}"

    async def line(self, step: Step) -> str:
        raw = await asyncio.wait_for(self.clients[step.who].reader.readline(), SECONDS)
        assert raw, f"{step.place}: the server has closed"
        return legal_line(raw)


def octets(step: Step) -> bytes:
    """The value of an expression: bytes, or text that goes out as UTF-8."""
    value = eval(step.text, {"__builtins__": {}})
    return value if isinstance(value, bytes) else value.encode()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
async def test_the_dialogue_runs_as_written(gateway: Gateway, script: Path) -> None:
    await Player(gateway).play(script)
    kept = script.with_suffix(".kept")
    if kept.exists():
        message = gateway.messages()[0]
        expected = kept.read_bytes().replace(b"\n", b"\r\n")
        assert gateway.raw(message["id"]) == expected


def test_every_dialogue_of_the_corpus_has_its_port(corpora: Path) -> None:
    theirs = {p.stem for p in (corpora / "smtp-dialogues").glob("*.cmy")}
    assert len(theirs) > 10
    assert theirs <= {p.stem for p in SCRIPTS}


async def test_a_dialogue_that_goes_another_way_fails_with_file_and_line(gateway: Gateway, tmp_path: Path) -> None:
    script = tmp_path / "other.dialogue"
    for wrong in ("c <- 220", "c <~ 250", "c gone", "c <... 250", "kept 1"):
        script.write_text(f"# a comment\nc connect\n{wrong}\n")
        with pytest.raises(AssertionError, match=r"other\.dialogue:3"):
            await Player(gateway).play(script)
    script.write_text("c connect\nc <~ 220\nc -> HELP\nc -> NOOP\nc <~ 214\n")
    with pytest.raises(AssertionError, match="more than the script says"):
        await Player(gateway).play(script)
    script.write_text("c say hello\n")
    with pytest.raises(ValueError, match=r"other\.dialogue:1"):
        await Player(gateway).play(script)
