"""YARA rules: compiled before anything starts, run in a process of their own, over the message and its attachments."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.core.errors import InvalidInput
from gateway.core.ports import Mail, ScannerResult
from gateway.core.reports import Finding, ScanReport, ScanStatus
from gateway.scan.files import parse_and_see
from gateway.scan.runner import ScanRunner
from gateway.scan.scanners import clamav, yara
from gateway.scan.yara_rules import compiled
from gateway.settings import Settings, YaraSettings
from tests.conftest import ROOT
from tests.unit.scan.filetypes import samples
from tests.unit.scan.test_runner import mail

pytest.importorskip("yara_x") if os.environ.get("CI") != "true" else __import__("yara_x")

HOWTO = ROOT / "docs" / "howto" / "add-a-scanner.md"
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS" + b"-TEST-FILE!$H+H*"
# in pieces, so that no scanner takes the rules or this file away
RULES = r"""
rule Eicar_Test_File {
    strings:
        $head = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$"
        $tail = "EICAR-STANDARD" ascii
    condition:
        $head at 0 and $tail
}
rule Says_Overdue { strings: $a = "overdue" nocase condition: $a }
"""
SLOW = "rule Slow { condition: for any i in (0..100000000000) : ( uint8(i % 10) == 300 ) }"
ATTACHED = mail(("text/plain", "a.txt", b"harmless"), ("application/pdf", "invoice.pdf", EICAR))


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yar"
    file.write_text(RULES)
    return file


@asynccontextmanager
async def scanner(*places: Path, seconds: int = 60):
    made = yara.SCANNER.make(Settings(yara=YaraSettings(rules=places, timeout_seconds=seconds)))
    yield made
    await made.close()


async def report(content: bytes, *scanners) -> ScanReport:
    runner = ScanRunner(scanners, asyncio.to_thread)
    return await runner.scan(content, *parse_and_see(content), runner.ask(content))


def test_without_rules_there_is_none():
    assert yara.SCANNER.make(Settings()) is None


async def test_an_attachment_that_matches_is_infected_and_named(rules):
    async with scanner(rules) as made:
        found = await report(ATTACHED, made)
    assert (found.status, found.findings) == (ScanStatus.INFECTED, (Finding("yara", "Eicar_Test_File", "3"),))


async def test_the_text_of_a_message_is_looked_at_as_it_came(rules):
    async with scanner(rules) as made:
        found = await report(mail(("text/plain", "a.txt", b"x")).replace(b"hello", b"OVERDUE invoice"), made)
        assert found.findings == (Finding("yara", "Says_Overdue"), Finding("yara", "Says_Overdue", "1"))
        assert (await report(mail(("text/plain", "a.txt", b"x")), made)).status is ScanStatus.CLEAN
        assert (await made.scan(b"", Mail())).status is ScanStatus.CLEAN


async def test_the_rules_of_a_directory_count_and_names_may_repeat(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "one.yar").write_text('rule Same { strings: $a = "alpha" condition: $a }')
    (tmp_path / "deep" / "two.yara").write_text('rule Same { strings: $a = "beta" condition: $a }')
    (tmp_path / "README").write_text("no rule")
    assert compiled([tmp_path]).told == "2 rules of 2 files"
    async with scanner(tmp_path) as made:
        for word in (b"alpha", b"beta"):
            assert (await made.scan(word)).findings == (Finding("yara", "Same"),)


async def test_large_mail_is_looked_at_to_its_last_octet(rules):
    content = mail(("application/octet-stream", "a.bin", os.urandom(12 << 20) + b"overdue"))
    async with scanner(rules) as made:
        assert (await report(content, made)).findings == (Finding("yara", "Says_Overdue", "2"),)


async def test_other_rules_are_another_version(rules):
    async with scanner(rules) as made:
        before = await made.version()
        assert before == await made.version() != ""
        rules.write_text(RULES + "rule More { condition: false }")
        assert await made.version() not in (before, "")
        rules.unlink()
        assert await made.version() == ""


# --- the start ---


def test_a_bad_rule_is_named_with_file_and_line(tmp_path):
    bad = tmp_path / "bad.yar"
    bad.write_text('rule A {\n  strings:\n    $a = "x"\n  condition:\n    $b\n}\n')
    with pytest.raises(InvalidInput, match=r"bad\.yar, line 5, column 5: unknown pattern `\$b`"):
        compiled([bad])


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (None, "No such file"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"", "there is no rule"),
        (b'rule A { strings: $a = "x condition: $a }', "line 1, column 24: syntax error"),
        (b'include "/etc/passwd"\nrule A { condition: true }', "line 1"),
    ],
)
def test_what_is_no_rule_is_told(tmp_path, written, words):
    file = tmp_path / "a.yar"
    if written is not None:
        file.write_bytes(written)
    with pytest.raises(InvalidInput, match=words) as told:
        compiled([file])
    assert "a.yar" in str(told.value)


def test_a_directory_without_rules_is_told(tmp_path):
    with pytest.raises(InvalidInput, match=r"has no file that ends in \.yar or \.yara"):
        compiled([tmp_path])


def test_rules_without_the_package_say_how_to_get_it(rules, monkeypatch):
    monkeypatch.setitem(sys.modules, "yara_x", None)
    with pytest.raises(InvalidInput, match=r"pip install 'support-mail-gateway\[yara\]'"):
        compiled([rules])


# --- its process ---


async def test_a_slow_rule_is_a_timeout_and_the_loop_goes_on(tmp_path):
    """In a thread, yara-x kept the interpreter for the whole of a scan."""
    (tmp_path / "slow.yar").write_text(SLOW)
    async with scanner(tmp_path, seconds=1) as made:
        await report(b"", made)  # the process is there now
        # by what this process computes: on a busy machine the loop may sleep longer than it means to
        scanning, longest, last = asyncio.create_task(report(ATTACHED, made)), 0.0, time.process_time()
        while not scanning.done():
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.process_time() - last), time.process_time()
        assert ((await scanning).status, (await scanning).reason) == (ScanStatus.UNSCANNED, "timeout")
        assert longest < 0.5


async def test_a_process_that_was_killed_begins_anew(rules):
    async with scanner(rules) as made:
        await report(ATTACHED, made)
        process = await made._starting
        process.send_signal(signal.SIGKILL)
        await process.wait()
        assert (await report(ATTACHED, made)).status is ScanStatus.INFECTED


async def test_a_process_that_is_stuck_is_a_timeout_and_begins_anew(rules, monkeypatch):
    async with scanner(rules, seconds=1) as made:
        await report(ATTACHED, made)  # the process is there now
        monkeypatch.setattr(yara, "GRACE_SECONDS", 0.2)
        (await made._starting).send_signal(signal.SIGSTOP)
        found = await report(ATTACHED, made)
        assert (found.status, found.reason) == (ScanStatus.UNSCANNED, "timeout")
        monkeypatch.setattr(yara, "GRACE_SECONDS", 20)
        assert (await report(ATTACHED, made)).status is ScanStatus.INFECTED


async def test_one_that_gave_up_leaves_no_answer_to_the_next(rules):
    async with scanner(rules) as made:
        await report(ATTACHED, made)
        giving_up = asyncio.create_task(made.scan(ATTACHED))
        await asyncio.sleep(0)
        giving_up.cancel()
        assert (await made.scan(b"harmless")).status is ScanStatus.CLEAN


async def test_many_at_once_each_get_their_own_answer(rules):
    async with scanner(rules) as made:
        asked = [b"overdue" if n % 3 == 0 else b"x" * n for n in range(30)]
        said = await asyncio.gather(*(made.scan(content) for content in asked))
    assert [bool(s.findings) for s in said] == [n % 3 == 0 for n in range(30)]


async def test_rules_that_went_bad_since_the_start_are_down_not_clean(rules):
    async with scanner(rules) as made:
        rules.write_text("rule {")
        found = await report(ATTACHED, made)
        assert (found.status, found.reason) == (ScanStatus.UNSCANNED, "down")


async def test_its_process_ends_with_the_scanner(rules):
    async with scanner(rules) as made:
        await made.scan(b"x")
        process = await made._starting
    assert process.returncode is not None


# --- beside clamd ---


class Says:
    name = "says"

    def __init__(self, status: ScanStatus, reason: str = "") -> None:
        self.result = ScannerResult(status, reason)

    async def scan(self, content: bytes, mail: Mail) -> ScannerResult:
        return self.result


@pytest.mark.parametrize(
    ("clamd", "harmless", "harmful"),
    [
        (("unscanned", "scanner-off"), ("clean", ""), ("infected", "")),
        (("unscanned", "down"), ("unscanned", "down"), ("infected", "")),
        (("unscannable", "over-limit"), ("unscannable", "over-limit"), ("infected", "")),
        (("clean", ""), ("clean", ""), ("infected", "")),
    ],
)
async def test_beside_clamd_the_gravest_counts_and_alone_it_is_the_scanner(rules, clamd, harmless, harmful):
    beside = Says(ScanStatus(clamd[0]), clamd[1])
    async with scanner(rules) as made:
        for content, expected in ((mail(), harmless), (ATTACHED, harmful)):
            found = await report(content, beside, made)
            assert (found.status.value, found.reason) == expected


async def test_with_clamd_off_yara_alone_judges(rules, tmp_path):
    async with scanner(rules) as made:
        found = await report(ATTACHED, clamav.make("off", 1, tmp_path / "seen"), made)
    assert (found.status, [f.where for f in found.findings]) == (ScanStatus.INFECTED, ["3"])


async def test_the_rule_of_the_how_to_finds_the_test_virus_and_not_itself(tmp_path):
    (example,) = re.findall(r"^```yara\n(.*?)^```$", HOWTO.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "eicar.yar").write_text(example)
    async with scanner(tmp_path) as made:
        assert (await report(ATTACHED, made)).findings == (Finding("yara", "Eicar_Test_File", "3"),)
        assert (await made.scan(example.encode())).status is ScanStatus.CLEAN


def test_the_eicar_of_these_tests_is_the_industry_s():
    assert base64.b64encode(EICAR).startswith(b"WDVPIVAlQEFQWzRcUFpYNTQoUF4p")
    assert len(EICAR) == 68


async def test_what_lies_in_an_archive_in_an_attached_message_is_found_under_the_part_that_carries_it(rules):
    inner = mail(("application/zip", "a.zip", samples.zipped({"b/x.txt": EICAR})))
    async with scanner(rules) as made:
        found = await report(mail(("message/rfc822", "fwd.eml", inner)), made)
    assert Finding("yara", "Eicar_Test_File", "2") in found.findings
    assert found.status is ScanStatus.INFECTED
