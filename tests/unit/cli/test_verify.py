"""`verify`, and the same story in `trace`, `message show` and `policy test`."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Cli, compose

FROM_HER = ("--client-ip", "127.0.0.9", "--helo", "mx.customer.test", "--sender", "carol@customer.test")


@pytest.fixture
def message(cli: Cli) -> str:
    path = cli.folder / "carol.eml"
    path.write_bytes(compose("Carol <carol@customer.test>", "A question"))
    return str(path)


def test_the_verdict_comes_first_in_plain_words_with_its_proof(cli: Cli, message: str) -> None:
    page = cli("verify", message, *FROM_HER).out.splitlines()

    assert page[0] == "verified: carol@customer.test wrote this"
    assert page[1].split() == ["proof", "spf:customer.test"]
    assert "  why           the client may send for the author's domain" in page[2]


def test_checks_candidates_path_and_answers_are_shown(cli: Cli, message: str) -> None:
    lines = [" ".join(line.split()) for line in cli("verify", message, *FROM_HER).out.splitlines()]

    assert "won spf customer.test: it passes and is aligned with customer.test" in lines
    assert "path direct SPF of the reverse-path passes for the client" in lines
    assert "DNS TXT customer.test v=spf1 ip4:127.0.0.9 -all" in lines
    assert "DNS TXT _dmarc.customer.test v=DMARC1; p=reject" in lines
    assert "dkim none" in " ".join(lines)


def test_json_holds_the_same(cli: Cli, message: str) -> None:
    found = cli("verify", message, *FROM_HER, "--recipient", "support@acme.gw.test", "--json").json

    auth = found["auth"]
    assert (auth["sender"], auth["level"], auth["by"]) == ("verified", "verified", "spf:customer.test")
    assert [(c["proof"], c["outcome"]) for c in auth["candidates"]] == [("spf", "won")]
    assert auth["dns"]["customer.test TXT"] == "v=spf1 ip4:127.0.0.9 -all"
    assert (found["account"], found["mailbox"], found["client"]["ip"]) == ("acme", "support@acme.test", "127.0.0.9")


def test_a_stranger_who_writes_her_name_is_called_a_forger(cli: Cli, message: str) -> None:
    stranger = ("--client-ip", "127.0.66.1", "--helo", "mx.evil.test", "--sender", "carol@customer.test")
    assert cli("verify", message, *stranger).out.startswith("forged: the domain of carol@customer.test disowns this\n")


def test_without_a_client_spf_is_none_and_nothing_is_forged(cli: Cli, message: str) -> None:
    auth = cli("verify", message, "--json").json["auth"]
    assert (auth["sender"], auth["path"]) == ("unverified", "unknown")
    assert [r["result"] for r in auth["results"] if r["method"] == "spf"] == ["none"]
    assert "name it with --client-ip" in cli("verify", message).out


def test_the_public_address_of_a_mailbox_names_it_too(cli: Cli, message: str) -> None:
    found = cli("verify", message, "--recipient", "Support@acme.test", "--json").json
    assert (found["account"], found["mailbox"]) == ("acme", "support@acme.test")


def test_two_authors_are_nobody(cli: Cli) -> None:
    two = cli.write("two.eml", "From: a@x.test, b@y.test\nSubject: hi\n\ntext\n")
    out = cli("verify", two, *FROM_HER).out
    assert out.startswith("unverified: nothing proves that any one author wrote this\n")
    assert "ambiguous-author" in out


def test_what_mail_holds_moves_no_terminal(cli: Cli) -> None:
    named = cli.write("esc.eml", 'From: "\x1b[31mred" <carol@customer.test>\nSubject: \x1b]0;t\x07\n\ntext\n')
    assert "\x1b" not in cli("verify", named, *FROM_HER).out


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (
            ("--client-ip", "customer.test"),
            1,
            "--client-ip 'customer.test' is no IP address; write for example 192.0.2.9",
        ),
        (("--helo", "mx.customer.test"), 1, "--client-ip IP"),
        (("--sender", "carol"), 1, "--sender 'carol'"),
        (("--recipient", "x@other.test"), 1, "gateway mailbox list"),
        (("--recipient", "x@system.gw.test"), 1, "belongs to account system, not to acme"),
        (("--account", "nobody"), 1, "accounts: acme, system"),
    ],
)
def test_options_that_cannot_be_are_refused_with_the_cure(
    cli: Cli, message: str, options: tuple[str, ...], code: int, words: str
) -> None:
    assert words in cli("verify", message, *options, code=code).err


@pytest.mark.parametrize(
    ("content", "words"), [("", "is empty"), ("%PDF-1.7\nno mail\n", "begins with no header field")]
)
def test_what_is_no_message_is_said(cli: Cli, content: str, words: str) -> None:
    assert words in cli("verify", cli.write("no.eml", content), code=1).err


def test_a_file_that_is_not_there_is_named(cli: Cli) -> None:
    assert "none.eml: No such file" in cli("verify", "none.eml", code=2).err


def test_with_several_accounts_one_has_to_be_named(cli: Cli, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_ACCOUNT")
    cli("account", "add", "globex")
    assert "--recipient ADDRESS, or --account NAME. Accounts: acme, globex" in cli("verify", message, code=1).err


def test_a_trace_explains_a_message_as_verify_does(cli: Cli, message: str) -> None:
    [kept] = [m for m in cli("message", "list", "--json").json if "urgent" in m["subject"]]
    trace = cli("trace", kept["trace"], "--json").json
    [told] = [e["detail"] for e in trace["events"] if e["stage"] == "verify"]
    assert told["dns"]["customer.test TXT"] == "v=spf1 ip4:127.0.0.9 -all"
    assert [(c["proof"], c["outcome"]) for c in told["candidates"]] == [("spf", "won")]
    assert told["forwarder"] is None

    lines = [" ".join(line.split()) for line in cli("trace", kept["trace"]).out.splitlines()]
    assert "won spf customer.test: it passes and is aligned with customer.test" in lines
    assert "DNS TXT customer.test v=spf1 ip4:127.0.0.9 -all" in lines
    assert "path direct SPF of the reverse-path passes for the client" in lines


def test_a_message_shows_its_path_and_arc(cli: Cli) -> None:
    [kept] = [m for m in cli("message", "list", "--json").json if "urgent" in m["subject"]]
    lines = [" ".join(line.split()) for line in cli("message", "show", kept["id"]).out.splitlines()]
    assert "arc none" in lines
    assert "path direct" in lines
