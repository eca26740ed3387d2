"""docs/howto: every example is a file that works when it is copied to where the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

HOWTO = ROOT / "docs" / "howto"
PAGES = sorted(HOWTO.glob("*.md"))
FILE = re.compile(r"^.*?`([\w./-]+)`:\n\n```(?:python|jinja)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

CONFTEST = f"""
import importlib
from pathlib import Path

import pytest

from gateway.notify.render import Templates
from tests.unit.notify.conftest import notice

HERE = Path(__file__).parent
# as if the files had been copied into the packages
for file in (HERE / "gateway").rglob("*.py"):
    package = importlib.import_module(".".join(file.parent.relative_to(HERE).parts))
    package.__path__.append(str(file.parent))


@pytest.fixture
def templates():
    for file in Path({str(ROOT / "templates")!r}).rglob("*.j2"):
        copy = HERE / "templates" / file.relative_to({str(ROOT / "templates")!r})
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    return Templates(HERE / "templates")
"""


def files_of(page: Path) -> dict[str, str]:
    """{path: content} of each example that says where it belongs."""
    return dict(FILE.findall(page.read_text(encoding="utf-8")))


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GATEWAY_", "PYTEST_"))}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def test_the_pages_are_there() -> None:
    assert {p.stem for p in PAGES} == {
        "add-a-condition",
        "add-a-check",
        "add-a-disguise",
        "add-a-scanner",
        "add-a-notification",
        "add-a-job",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_every_block_of_code_says_where_it_belongs_and_is_no_file_yet(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    files = files_of(page)

    assert len(files) == len(re.findall(r"^```(?:python|jinja)$", text, re.MULTILINE))
    assert any(path.startswith("tests/unit/") for path in files)
    for path in files:
        assert not (ROOT / path).exists(), f"{path} is there: show another example"
        assert (ROOT / path).parent.parent.is_dir()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_example_passes_its_own_test(page: Path, tmp_path: Path) -> None:
    for path, content in files_of(page).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml"]
    command += ["--rootdir", tmp_path, tmp_path / "tests"]
    done = subprocess.run(
        [str(word) for word in command], check=False, capture_output=True, text=True, cwd=tmp_path, env=environment()
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)
    assert "skipped" not in done.stdout


@pytest.mark.parametrize(
    ("page", "lists"),
    [
        ("add-a-check", {"test_forwarded_signed_mail_is_verified_by_dkim_although_spf_breaks"}),
        (
            "add-a-condition",
            {"test_the_conditions_and_actions_of_this_version", "test_the_strategies_of_this_version"},
        ),
    ],
)
def test_following_a_page_to_its_end_left_tests_red_that_it_did_not_name(page: str, lists: set[str]) -> None:
    text = (HOWTO / f"{page}.md").read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    there = [ROOT / file for file in re.findall(r"`(tests/[\w/]+\.py)`(?!:\n)", prose)]
    files = [file.read_text(encoding="utf-8") for file in there]
    named = set(re.findall(r"`(test_\w+)`", prose))
    assert named == lists
    assert all(any(f"def {name}(" in file for file in files) for name in named)


def test_the_reference_s_row_that_the_page_gives_is_one() -> None:
    page = (HOWTO / "add-a-condition.md").read_text(encoding="utf-8")
    reference = (ROOT / "docs/operate/policy-reference.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^ {4}(\| `files_over` \|.*\|)$", page, re.MULTILINE)
    like = next(line for line in reference.splitlines() if line.startswith("| `bytes_over` |"))
    assert row.count("|") == like.count("|")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_example_keeps_the_house_s_style(page: Path, tmp_path: Path) -> None:
    for path, content in files_of(page).items():
        if not path.endswith(".py"):
            continue
        for how in (["check"], ["format", "--check"]):
            command = [sys.executable, "-m", "ruff", *how, "--no-cache", "--stdin-filename", str(ROOT / path), "-"]
            done = subprocess.run(command, check=False, capture_output=True, text=True, input=content, cwd=ROOT)
            assert done.returncode == 0, f"{path}\n{done.stdout}{done.stderr}"
