"""`policy starters`, `policy starter`, `policy schema`."""

from __future__ import annotations

import json
from pathlib import Path

from gateway.policy.loader import schema
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


def test_where_nothing_can_be_written_that_is_told(bare: Cli) -> None:
    missing = bare.folder / "missing" / "p.yaml"

    assert "cannot be written" in bare("policy", "starter", "vip", "--output", str(missing), code=1).err
