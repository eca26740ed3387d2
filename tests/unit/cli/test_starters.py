"""`policy starters`, `policy starter`, `policy schema`."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from gateway.policy.loader import load, schema
from gateway.policy.values import Known
from tests.conftest import ROOT
from tests.unit.cli.conftest import Cli

FOLDER = Path(__file__).resolve().parents[3] / "templates" / "policies"


def test_every_starter_is_listed_with_what_it_is_for(bare: Cli) -> None:
    found = {s["name"]: s["about"] for s in bare("policy", "starters", "--json").json}

    assert sorted(found) == sorted(p.stem for p in FOLDER.glob("*.yaml"))
    assert found["vip"] == "Important customers are seen first, by people who know them"
    assert "contact-centre" in bare("policy", "starters").out


def test_a_starter_is_shown_as_it_is(bare: Cli) -> None:
    assert bare("policy", "starter", "vip").out == (FOLDER / "vip.yaml").read_text(encoding="utf-8")
    assert bare("policy", "starter", "vip.yaml").out == bare("policy", "starter", "vip").out


def test_an_unknown_starter_is_told_with_those_there_are(bare: Cli) -> None:
    assert "answers-only, billing-to-one-person" in bare("policy", "starter", "../secrets", code=1).err


def test_a_starter_is_written_with_its_schema_beside_it(bare: Cli) -> None:
    file = bare.folder / "mine.yaml"

    bare("policy", "starter", "contact-centre", "--output", str(file))

    named = file.read_text(encoding="utf-8").splitlines()[0].rpartition("=")[2]
    assert json.loads((file.parent / named).read_text(encoding="utf-8")) == schema()
    assert "good policy" in bare("policy", "check", str(file)).out


def test_a_policy_that_is_there_is_not_written_over(bare: Cli) -> None:
    file = bare.write("mine.yaml", "block: []\n")

    assert "exists already" in bare("policy", "starter", "vip", "--output", file, code=1).err

    assert Path(file).read_text(encoding="utf-8") == "block: []\n"


def test_the_schema_is_shown_or_written(bare: Cli) -> None:
    file = bare.folder / "policy.schema.json"

    bare("policy", "schema", "--output", str(file))

    assert json.loads(bare("policy", "schema").out) == json.loads(file.read_text(encoding="utf-8")) == schema()


LINE = re.compile(
    r"^ {4}gateway ((?:team|agent|mailbox) add .*?|policy (?:starter|check|test|replay|publish) .*?)$", re.MULTILINE
)


@pytest.mark.parametrize("page", ["README.md", "docs/operate/write-a-policy.md"])
def test_a_page_s_own_sequence_ended_with_a_team_that_is_not_there(page: str) -> None:
    """As a reader types it, where there are two accounts; `support` is the team of every new one."""
    found = LINE.findall((ROOT / page).read_text(encoding="utf-8"))
    lines = [shlex.split(line, comments=True) for line in found]
    named = {what: {line[2] for line in lines if line[:2] == [what, "add"]} for what in ("team", "mailbox", "agent")}
    known = Known(frozenset(named["team"] | {"support"}), frozenset(named["mailbox"]), frozenset(named["agent"]))
    (starter,) = [line[2] for line in lines if line[:2] == ["policy", "starter"]]
    load((FOLDER / f"{starter}.yaml").read_text(encoding="utf-8"), known)
    assert [line[1] for line in lines if line[0] == "policy"] == ["starter", "check", "test", "replay", "publish"]
    assert all("acme" in line for line in lines if line[1] != "starter")


def test_where_nothing_can_be_written_that_is_told(bare: Cli) -> None:
    missing = bare.folder / "missing" / "p.yaml"

    assert "cannot be written" in bare("policy", "starter", "vip", "--output", str(missing), code=1).err
