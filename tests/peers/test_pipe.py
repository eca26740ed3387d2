"""A Postfix hands mail to `gateway receive` by its pipe(8): every message is a process, its exit code the reply."""

from __future__ import annotations

import os
import re
import shutil
import smtplib
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, missing
from tests.servers.gateway import RunningGateway, mail, wait_until
from tests.servers.postfix import HOW_TO_GET_IT, PostfixServer, is_available

USER = "nobody"
"""Postfix pipes as neither root nor itself."""
ARGUMENTS = "receive --sender=${sender} --recipient=${recipient} --client-ip=${client_address} --helo=${client_helo}"
"""As docs/operate/edge.md has them."""
V6_CLIENT = "2001:db8::9"
MODULES = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])


def _python() -> str | None:
    """One that this user may run, and that has what we are made of; the tests' own may lie in root's home."""
    for python in (sys.executable, "/usr/bin/python3"):
        command = [python, "-c", "import gateway, pydantic_core"]
        try:
            subprocess.run(
                command,
                check=True,
                capture_output=True,
                user=USER,
                extra_groups=[],
                cwd="/",
                env={"PYTHONPATH": MODULES},
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    return None


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    """Nothing serves: a pipe needs the data alone."""
    if not is_available():
        missing(HOW_TO_GET_IT)
    # not pytest's: only root gets into those
    folder = Path(tempfile.mkdtemp(prefix="gateway-pipe-"))
    folder.chmod(0o755)
    with RunningGateway(folder, settings={"dns": {"timeout_seconds": 0.1}}) as made:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, USER)
        yield made
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def postfix(gateway: RunningGateway) -> Iterator[PostfixServer]:
    python = _python()
    if python is None:
        missing(f"a Python that {USER} may run")
    program = gateway.folder / "gateway"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={MODULES} exec {python} -m gateway "$@"\n')
    program.chmod(0o755)
    with PostfixServer(
        aliases={"support@company.test": "support@acme.gw.test, sales@acme.gw.test"},
        transports={".gw.test": "gateway:"},
        pipes={"gateway": f"flags=q user={USER} argv={program} --config {gateway.config} {ARGUMENTS}"},
        settings={"inet_protocols": "all", "smtpd_authorized_xforward_hosts": "127.0.0.0/8"},
    ) as server:
        yield server


def _kept(gateway: RunningGateway, message_id: str) -> dict[str, Any]:
    [message] = [m for m in gateway.messages() if m["message_id"] == message_id]
    client = gateway.trace(message["trace"])["client"]
    return {**message, "client": (client["ip"], client["helo"])}


def test_a_piped_mail_is_kept_once_for_its_recipients_with_sender_and_client(
    gateway: RunningGateway, postfix: PostfixServer
) -> None:
    content = mail("pipe-kept")
    attempts = postfix.finished(postfix.submit(content, client_ip="127.0.0.9"))
    assert [(a.service, a.relay, a.status) for a in attempts] == [("pipe", "gateway", "sent")] * 2
    message = _kept(gateway, "pipe-kept@customer.test")
    assert message["reverse_path"] == "anna@customer.test"
    assert sorted(message["recipients"]) == ["sales@acme.gw.test", "support@acme.gw.test"]
    assert message["client"] == ("127.0.0.9", "client.customer.test")
    raw = gateway.raw("acme", message["id"])
    assert raw is not None
    received, _, rest = raw.partition(b"From: ")
    assert received.startswith(b"Received: from client.customer.test ")
    assert b"From: " + rest == content


def test_postfix_writes_a_client_of_ipv6_and_a_quoted_sender_in_its_own_way(
    gateway: RunningGateway, postfix: PostfixServer
) -> None:
    """${client_address} is `IPv6:2001:db8::9`: all mail from such clients was put off until Postfix returned it."""
    with smtplib.SMTP("127.0.0.1", postfix.port, "filter.test", timeout=60) as client:
        client.ehlo()
        if client.docmd("XFORWARD", f"ADDR=IPV6:{V6_CLIENT} HELO=six.customer.test PROTO=ESMTP")[0] != 250:
            missing("IPv6 in this system: without it Postfix reads no such address")
        said = [client.docmd('MAIL FROM:<"anna lee"@customer.test>'), client.rcpt("support@acme.gw.test")]
        said.append(client.data(mail("pipe-six")))
    assert [code for code, _ in said] == [250] * 3, said
    [attempt] = postfix.finished(said[-1][1].decode().rpartition("queued as ")[2])
    assert attempt.status == "sent", attempt
    message = _kept(gateway, "pipe-six@customer.test")
    assert message["reverse_path"] == '"anna lee"@customer.test'
    assert message["client"] == (V6_CLIENT, "six.customer.test")


def test_what_we_refuse_is_bounced_and_the_report_of_it_is_kept_as_one(
    gateway: RunningGateway, postfix: PostfixServer
) -> None:
    """Postfix writes the null reverse-path as MAILER-DAEMON, and its own mail has no client."""
    queue_id = postfix.submit(mail("pipe-refused"), "anybody@unknown.gw.test", sender="support@acme.gw.test")
    [attempt] = postfix.finished(queue_id)
    assert (attempt.status, attempt.dsn) == ("bounced", "5.6.0")
    assert "no account receives mail at unknown.gw.test" in attempt.reply
    notice = re.search(rf": {queue_id}: sender non-delivery notification: (\w+)", postfix.log)
    assert notice
    [delivered] = postfix.finished(notice[1])
    assert (delivered.service, delivered.status) == ("pipe", "sent")
    [report] = [m for m in gateway.messages() if m["subject"] == "Undelivered Mail Returned to Sender"]
    assert _kept(gateway, report["message_id"])["client"] == (None, None)
    assert report["reverse_path"] is None


def test_what_cannot_be_kept_now_is_put_off_and_kept_later(gateway: RunningGateway, postfix: PostfixServer) -> None:
    database = gateway.settings.data_dir / "gateway.db"
    away = database.rename(database.with_suffix(".away"))
    try:
        queue_id = postfix.submit(mail("pipe-later"), "support@acme.gw.test")
        [first, *_] = wait_until(lambda: postfix.attempts(queue_id), "Postfix has tried")
    finally:
        away.rename(database)
    assert (first.status, first.dsn) == ("deferred", "4.3.0")
    assert "there is no database at " in first.reply
    assert postfix.finished(queue_id)[-1].status == "sent"
    assert _kept(gateway, "pipe-later@customer.test")["reverse_path"] == "anna@customer.test"
