"""A company's Postfix forwards three mailboxes: as they come, with SRS behind a second server, and as a mailing list does.

Each is learnt by the challenge that `mailbox check` sends through that very server; then customers, strangers and
colleagues write to them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.commands import accounts
from gateway.notify.sign import public_record
from gateway.store import listing
from gateway.store.changes import NewMailbox
from tests.conftest import missing
from tests.servers import postfix, postsrsd
from tests.servers.gateway import RunningGateway, mail, wait_until
from tests.servers.ports import free_port
from tests.servers.postfix import PostfixServer
from tests.servers.postsrsd import Postsrsd
from tests.unit.verify.shapes import key_record, rsa_key, sign

SERVER, CUSTOMER, STRANGER = "127.0.5.1", "127.0.9.1", "127.0.66.1"
MAILBOXES = ("plain", "srs", "list")
CAROL, ANN = "carol@customer.test", "ann@company.test"

ZONE = f"""\
$ORIGIN test.
$TTL 60
customer            IN TXT "v=spf1 ip4:{CUSTOMER} -all"
_dmarc.customer     IN TXT "v=DMARC1; p=reject"
evil                IN TXT "v=spf1 ip4:127.0.0.0/8 -all"
company             IN TXT "v=spf1 ip4:{SERVER} -all"
company             IN MX 10 mail.company
mail.company        IN A {SERVER}
_dmarc.company      IN TXT "v=DMARC1; p=reject"
gw                  IN TXT "v=spf1 -all"
acme.gw             IN TXT "v=spf1 -all"
_dmarc.gw           IN TXT "v=DMARC1; p=reject"
$ORIGIN arpa.
1.5.0.127.in-addr   IN PTR mail.company.test.
"""
LIST_AUTHOR = r"""
/^.*@(customer|evil)\.test$/        list@company.test
/^(postmaster|challenge\+.*)@(acme\.)?gw\.test$/  list@company.test
"""
LIST_FIELDS = """
/^From: (.*)$/i      PREPEND X-Original-From: ${1}
/^Message-ID:/i      PREPEND List-Id: Support <list.company.test>
/^Date:/i            PREPEND Precedence: list
/^Subject: (.*)$/i   REPLACE Subject: [support] ${1}
"""


@dataclass(frozen=True)
class World:
    gateway: RunningGateway
    postfix: PostfixServer

    def run(self, *arguments: str, code: int = 0) -> str:
        ran = subprocess.run(
            self.gateway.command(*arguments),
            check=False,
            capture_output=True,
            text=True,
            timeout=150,
            cwd=self.gateway.folder,
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout

    def check(self, mailbox: str) -> None:
        """Exit 0: its forwarder is known."""
        self.run("mailbox", "check", f"{mailbox}@company.test", "--account", "acme", "--wait", "90")

    def forwarder(self, mailbox: str) -> dict[str, Any]:
        """The one that was learnt for a mailbox."""
        shown = json.loads(self.run("mailbox", "show", f"{mailbox}@company.test", "--account", "acme", "--json"))
        [known] = shown["forwarders"]
        found: dict[str, Any] = known
        return found

    def forwarded(self, content: bytes, mailbox: str, client_ip: str, sender: str) -> dict[str, Any]:
        """The message as the gateway keeps it, after the company's server has taken it and passed it on."""
        before = {m["id"] for m in self.gateway.messages()}
        attempts = self.postfix.finished(
            self.postfix.submit(content, f"{mailbox}@company.test", sender, client_ip=client_ip)
        )
        assert {a.status for a in attempts} == {"sent"}, self.postfix.log
        wait_until(lambda: len(self.gateway.messages()) > len(before), "it came")
        [message] = [m for m in self.gateway.messages() if m["id"] not in before]
        return message


def _key_line(name: str, record: str) -> str:
    """A TXT record with strings of at most 255 octets, as a master file writes it."""
    strings = " ".join(f'"{record[n : n + 250]}"' for n in range(0, len(record), 250))
    return f"{name}. 60 IN TXT {strings}\n"


def _publish_keys(gateway: RunningGateway) -> None:
    account = gateway.named["acme"]
    pem = gateway.ground.secret.decrypt(listing.sealed_dkim_key(gateway.store, account), f"dkim:{account}")
    selector = listing.account(gateway.store, account)["dkim_selector"]
    keys = _key_line(f"{selector}._domainkey.acme.gw.test", public_record(pem))
    keys += _key_line("s1._domainkey.customer.test", key_record(rsa_key()))
    (gateway.folder / "zone").write_text(ZONE + keys)


def _company(gateway_port: int, srs_port: int) -> PostfixServer:
    """`plain` and `list` go straight to the gateway; `srs` by a server within, which rewrites reverse-paths."""
    here, inner_port = f"[127.0.0.1]:{gateway_port}", free_port()
    rewriting = {"smtp_generic_maps": "regexp:$config_directory/list_author"}
    rewriting |= {"smtp_header_checks": "regexp:$config_directory/list_fields"}
    return PostfixServer(
        aliases={
            "plain@company.test": "plain@acme.gw.test",
            "list@company.test": "list@acme.gw.test",
            "srs@company.test": f"srs@{postfix.INNER}",
        },
        transports={
            "list@acme.gw.test": f"list:{here}",
            ".gw.test": f"smtp:{here}",
            postfix.INNER: f"smtp:[127.0.0.1]:{inner_port}",
        },
        services={"list": ("smtp", rewriting)},
        settings={"relay_domains": postfix.INNER, "smtp_bind_address": SERVER, "smtp_tls_security_level": "none"},
        inner={
            "virtual_alias_maps": "texthash:$config_directory/inner_aliases",
            "sender_canonical_maps": f"tcp:127.0.0.1:{srs_port}",
            "sender_canonical_classes": "envelope_sender",
        },
        inner_port=inner_port,
        tables={
            "inner_aliases": f"srs@{postfix.INNER} srs@acme.gw.test\n",
            "list_author": LIST_AUTHOR,
            "list_fields": LIST_FIELDS,
        },
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every mailbox has been checked."""
    if not postfix.is_available():
        missing(postfix.HOW_TO_GET_IT)
    if not postsrsd.program():
        missing(postsrsd.HOW_TO_GET_IT)
    folder, gateway_port = tmp_path_factory.mktemp("gateway"), free_port()
    with Postsrsd(folder, "company.test") as srs, _company(gateway_port, srs.port) as server:
        settings = {"smtp": {"listen": [f"127.0.0.1:{gateway_port}"]}}
        with RunningGateway(folder, relay=f"smtp://127.0.0.1:{server.port}", settings=settings) as gateway:
            _publish_keys(gateway)
            for name in MAILBOXES:
                mailbox = NewMailbox(f"{name}@company.test", name.title(), None)
                accounts.add_mailbox(gateway.store, gateway.settings, gateway.named["acme"], "acme", mailbox)
            gateway.smtp_port = gateway_port
            gateway.start()
            world = World(gateway, server)
            with ThreadPoolExecutor() as at_once:
                list(at_once.map(world.check, MAILBOXES))
            yield world


# --- what the challenge teaches ---


@pytest.mark.parametrize(
    ("mailbox", "form", "border", "trail", "keeps_author"),
    [
        ("plain", "unchanged", "mail.company.test", [], True),
        ("srs", "srs0", "mail.company.test", [f"{postfix.INNER}<{SERVER}"], True),
        ("list", "replaced", "mail.company.test", [], False),
    ],
)
def test_the_challenge_teaches_how_the_server_forwards(
    world: World, mailbox: str, form: str, border: str, trail: list[str], keeps_author: bool
) -> None:
    known = world.forwarder(mailbox)
    assert (known["name"], known["networks"], known["form"]) == ("mail.company.test", ["127.0.5.0/24"], form)
    assert (known["border"], known["trail"], known["keeps_author"]) == (border, trail, keeps_author)
    if mailbox == "list":
        assert {"list-id", "precedence"} <= set(known["adds"])


# --- who wrote it ---


SIGNED = "signed"
CASES = {
    "a signature that survives": (
        "plain",
        CUSTOMER,
        CAROL,
        CAROL,
        SIGNED,
        "verified",
        "verified",
        "dkim:customer.test",
    ),
    "a signature behind SRS": (
        "srs",
        STRANGER,
        "x@evil.test",
        CAROL,
        SIGNED,
        "verified",
        "verified",
        "dkim:customer.test",
    ),
    "SPF alone": ("plain", CUSTOMER, CAROL, CAROL, "", "verified", "via-forwarder", "border-spf:mail.company.test"),
    "SPF alone, behind SRS": (
        "srs",
        CUSTOMER,
        CAROL,
        CAROL,
        "",
        "verified",
        "via-forwarder",
        "border-spf:mail.company.test",
    ),
    "a stranger in her name": ("plain", STRANGER, "x@evil.test", CAROL, "", "unverified", "none", ""),
    "a stranger in her name, behind SRS": ("srs", STRANGER, CAROL, CAROL, "", "unverified", "none", ""),
    "a colleague's name": ("plain", STRANGER, ANN, ANN, "", "unverified", "none", ""),
    "a colleague's name, behind SRS": ("srs", STRANGER, ANN, ANN, "", "unverified", "none", ""),
    "a colleague's name in a stranger's envelope": ("srs", STRANGER, "x@evil.test", ANN, "", "unverified", "none", ""),
    "a customer on the list": ("list", CUSTOMER, CAROL, CAROL, SIGNED, "unverified", "none", ""),
    "a colleague's name on the list": ("list", STRANGER, ANN, ANN, "", "unverified", "none", ""),
}


@pytest.mark.parametrize("what", CASES)
def test_the_verdict_behind_the_company_s_server(world: World, what: str) -> None:
    mailbox, client, reverse_path, author, signed, sender, level, by = CASES[what]
    content = mail(
        what.replace(" ", "-").replace(",", "").replace("'", ""), author=author, to=f"{mailbox}@company.test"
    )
    message = world.forwarded(sign(content) if signed else content, mailbox, client, reverse_path)
    auth = message["auth"]
    assert (auth["sender"], auth["level"], auth["by"]) == (sender, level, by), auth
    assert (auth["path"], auth["forwarder"]) == ("forwarder", "mail.company.test")
    assert message["disposition"] == "ticketed"
    if mailbox == "srs" and not reverse_path.endswith("@company.test"):
        assert message["reverse_path"].startswith("SRS0=")


def test_on_the_list_the_customer_is_the_author_as_told_and_no_more(world: World) -> None:
    message = world.forwarded(sign(mail("told", author=CAROL, to="list@company.test")), "list", CUSTOMER, CAROL)
    author = message["author"]
    assert (author["address"], author["told_by"], author["from_address"]) == (
        CAROL,
        "X-Original-From",
        "list@company.test",
    )
    assert (message["auth"]["sender"], message["disposition"]) == ("unverified", "ticketed")


def test_the_same_bytes_from_a_host_that_nobody_learnt_are_forged(world: World) -> None:
    message = world.forwarded(mail("forged-twice", author=CAROL), "plain", STRANGER, CAROL)
    assert (message["auth"]["sender"], message["disposition"]) == ("unverified", "ticketed")
    content = world.gateway.raw("acme", message["id"])
    assert content

    # another tag, or it would be a retry of what is kept
    again = world.gateway.send(content, "plain+again@acme.gw.test", CAROL, client_ip=STRANGER)

    assert again.code == 550
    events = world.gateway.trace(again.trace)["events"]
    assert [e["outcome"] for e in events if e["stage"] == "verify"] == ["forged"]


def test_the_trace_explains_what_was_found_at_the_border(world: World) -> None:
    message = world.forwarded(mail("explained", author=CAROL), "srs", CUSTOMER, CAROL)
    page = world.run("trace", message["trace"])
    lines = [" ".join(line.split()) for line in page.splitlines()]
    won = f"won border-spf customer.test: the client mail.company.test took the mail from, {CUSTOMER}, may send for customer.test (SPF)"
    assert any(line.startswith(won) for line in lines), page
    assert "path forwarder mail.company.test: the client is the mailbox's forwarder mail.company.test" in lines
    assert f"DNS TXT customer.test v=spf1 ip4:{CUSTOMER} -all" in lines
