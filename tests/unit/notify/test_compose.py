from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.errors import InvalidInput
from gateway.core.message import Address
from gateway.core.notice import Notice, NoticeKind, NoticeMailbox, Rendered
from gateway.core.tokens import AnswerToken, Tokens
from gateway.notify.compose import compose
from gateway.notify.identity import identity
from gateway.notify.render import Templates

AGENT_KINDS = [kind for kind in NoticeKind if not kind.to_customer]
FIELDS = [
    "Date",
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "MIME-Version",
    "Content-Type",
]


def read(rendered: Rendered) -> EmailMessage:
    message = email.message_from_bytes(rendered.content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def shown(message: EmailMessage, name: str) -> list[tuple[str, str]]:
    return [(a.display_name, a.addr_spec) for a in message[name].addresses]


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def html_of(message: EmailMessage) -> str:
    body = message.get_body(("html",))
    assert body is not None
    return str(body.get_content())


@pytest.fixture
def acknowledgement(notice: Notice) -> Notice:
    return replace(
        notice,
        kind=NoticeKind.ACKNOWLEDGEMENT,
        recipient=Address("carol@customer.example", "BUY AT evil.example"),
        agent_number=None,
    )


def test_a_customer_is_written_to_in_the_mailbox_s_name(
    acknowledgement: Notice, tokens: Tokens, templates: Templates
) -> None:
    rendered = compose(acknowledgement, tokens=tokens, templates=templates)
    message = read(rendered)

    assert message.keys() == FIELDS
    assert shown(message, "From") == [("Acme Support", "support@acme.gw.example")]
    assert shown(message, "Reply-To") == [("Acme Support", "support@acme.example")]
    assert message["Subject"] == "We have your message [Acme Support #1001]"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["In-Reply-To"] == "<second@customer.example>"
    assert message["References"] == "<first@customer.example> <second@customer.example>"
    assert message["Date"].datetime == acknowledgement.created_at
    assert message["Message-ID"] == f"<{rendered.message_id}>"
    assert message.get_content_type() == "multipart/alternative"
    assert rendered.reverse_path is None


def test_once_proven_a_customer_is_written_to_from_the_mailbox_itself(acknowledgement: Notice, tokens: Tokens) -> None:
    assert identity(acknowledgement, tokens=tokens, proven=True).sender == Address(
        "support@acme.example", "Acme Support"
    )


def test_an_acknowledgement_repeats_nothing_that_a_stranger_wrote(
    acknowledgement: Notice, tokens: Tokens, templates: Templates
) -> None:
    """T33: else whoever forges From has us carry his advertisement, in a company's name, to whom he likes."""
    advertised = replace(
        acknowledgement,
        ticket_subject="EVIL subject",
        text="EVIL text",
        author=Address("carol@customer.example", "EVIL name"),
        sender_reason="EVIL reason",
        attachments=(("EVIL.exe", "kept"),),
    )
    rendered = compose(advertised, tokens=tokens, templates=templates)
    message = read(rendered)

    everything = str(message["Subject"]) + str(message["To"]) + text_of(message) + html_of(message)
    assert "EVIL" not in everything
    assert "evil.example" not in everything
    assert shown(message, "To") == [("", "carol@customer.example")]


@pytest.mark.parametrize("kind", AGENT_KINDS)
def test_an_agent_s_answer_comes_to_a_token_address(
    notice: Notice, kind: NoticeKind, tokens: Tokens, templates: Templates
) -> None:
    rendered = compose(replace(notice, kind=kind), tokens=tokens, templates=templates)
    message = read(rendered)

    assert message.keys() == FIELDS
    assert shown(message, "From") == [("Carol via Acme Support", "notice@acme.gw.example")]
    assert shown(message, "To") == [("Ann Smith", "ann@acme.example")]
    ((name, answer),) = shown(message, "Reply-To")
    assert name == "Acme Support"
    assert tokens.read_answer_local(notice.account_id, answer.partition("@")[0]) == AnswerToken(1001, 3)
    assert message["Auto-Submitted"] == "auto-generated"
    assert rendered.reverse_path is not None
    local, _, domain = rendered.reverse_path.partition("@")
    assert tokens.read_bounce_local(notice.account_id, local) == notice.outbox_id
    assert domain == "acme.gw.example"
    assert tokens.ticket_of_message_id(notice.account_id, rendered.message_id) == notice.ticket_number


@pytest.mark.parametrize("kind", AGENT_KINDS)
def test_an_agent_s_mail_begins_with_where_an_answer_will_go(
    notice: Notice, kind: NoticeKind, tokens: Tokens, templates: Templates
) -> None:
    text = text_of(read(compose(replace(notice, kind=kind), tokens=tokens, templates=templates)))

    first = "An answer to this mail is kept as an internal note on the ticket; it does not go to Carol."
    assert text.splitlines()[0] == first
    assert "WARNING" not in text


@pytest.mark.parametrize("kind", AGENT_KINDS)
def test_an_agent_sees_what_was_written_by_whom_and_what_was_attached(
    notice: Notice, kind: NoticeKind, tokens: Tokens, templates: Templates
) -> None:
    message = read(compose(replace(notice, kind=kind), tokens=tokens, templates=templates))

    assert "Printer on fire" in message["Subject"]
    assert "Acme Support #1001" in message["Subject"]
    for said in (text_of(message), html_of(message).replace("&lt;", "<").replace("&gt;", ">")):
        assert "Carol <carol@customer.example>" in said
        assert "it burns." in said
        assert "setup.exe: stripped: a program" in said


@pytest.mark.parametrize("sender", ["unverified", "forged", "indeterminate"])
def test_an_agent_is_warned_of_an_author_who_is_not_verified(
    notice: Notice, sender: str, tokens: Tokens, templates: Templates
) -> None:
    doubtful = replace(notice, sender=sender, sender_reason="No signature of customer.example.")
    message = read(compose(doubtful, tokens=tokens, templates=templates))

    warning = text_of(message).splitlines()[2]
    assert warning.startswith("WARNING. ")
    assert "carol@customer.example" in warning
    for said in (text_of(message), html_of(message)):
        assert "No signature of customer.example." in said
        assert said.index("No signature of") < said.index("it burns")


@pytest.mark.parametrize(
    ("language", "warning"),
    [
        (
            "en",
            (
                "WARNING. The author is as told by Reply-To; the mail is from forms@acme.example. "
                "Anybody could have entered carol@customer.example there."
            ),
        ),
        (
            "de",
            (
                "WARNUNG. Der Absender steht nur in Reply-To; die E-Mail kommt von forms@acme.example. "
                "Jeder könnte carol@customer.example dort eingetragen haben."
            ),
        ),
    ],
)
def test_an_agent_is_warned_of_an_author_who_is_only_told(
    notice: Notice, language: str, warning: str, tokens: Tokens, templates: Templates
) -> None:
    told = replace(notice, language=language, sender="unverified", told_by="Reply-To", told_from="forms@acme.example")
    message = read(compose(told, tokens=tokens, templates=templates))
    assert text_of(message).splitlines()[2] == warning
    assert warning.partition(". ")[2] in html_of(message)


def test_an_author_whose_name_is_an_address_is_shown_with_the_real_one(
    notice: Notice, tokens: Tokens, templates: Templates
) -> None:
    posing = replace(notice, author=Address("eve@evil.example", "boss@acme.example"))

    assert "boss@acme.example <eve@evil.example>" in text_of(read(compose(posing, tokens=tokens, templates=templates)))


def test_no_line_of_the_customer_s_can_pass_for_one_of_ours(
    notice: Notice, tokens: Tokens, templates: Templates
) -> None:
    lines = ["WARNING. The author is forged", "Attachments", "- x: kept", "\x0bTeam: evil\u2028Team: evil"]
    message = read(compose(replace(notice, text="\n".join(lines)), tokens=tokens, templates=templates))

    assert "WARNING" not in re.sub(r"^>.*$", "", text_of(message), flags=re.MULTILINE)
    assert "evil" not in re.sub(r"^>.*$", "", text_of(message), flags=re.MULTILINE)


def test_a_mail_without_an_author_comes_from_the_mailbox(notice: Notice, tokens: Tokens, templates: Templates) -> None:
    message = read(compose(replace(notice, author=None, text="", thread=()), tokens=tokens, templates=templates))

    assert shown(message, "From") == [("Acme Support", "notice@acme.gw.example")]
    assert "it does not go to the customer." in text_of(message)
    assert "In-Reply-To" not in message
    assert "References" not in message


def test_an_outside_address_answers_to_the_mailbox(notice: Notice, tokens: Tokens, templates: Templates) -> None:
    message = read(compose(replace(notice, agent_number=None), tokens=tokens, templates=templates))

    assert shown(message, "Reply-To") == [("Acme Support", "support@acme.example")]
    first = "An answer to this mail goes to Acme Support <support@acme.example>."
    assert text_of(message).splitlines()[0] == first


def test_a_name_of_another_script_is_read_back(notice: Notice, tokens: Tokens, templates: Templates) -> None:
    named = replace(
        notice,
        author=Address("k@customer.example", "Керол"),
        mailbox=NoticeMailbox("hilfe@acme.example", "Hilfe für Größe", "hilfe"),
    )
    rendered = compose(named, tokens=tokens, templates=templates)

    assert rendered.content.isascii()
    assert shown(read(rendered), "From") == [("Керол via Hilfe für Größe", "notice@acme.gw.example")]
    assert shown(read(rendered), "Reply-To")[0][0] == "Hilfe für Größe"


def test_an_internationalised_recipient_is_written_in_utf8(
    notice: Notice, tokens: Tokens, templates: Templates
) -> None:
    """RFC 6532: an addr-spec has no encoded form; the courier then demands SMTPUTF8."""
    rendered = compose(replace(notice, recipient=Address("élodie@acme.example")), tokens=tokens, templates=templates)

    assert "\r\nTo: élodie@acme.example\r\n".encode() in rendered.content


def test_the_same_notice_gives_the_same_octets(notice: Notice, tokens: Tokens, templates: Templates) -> None:
    first = compose(notice, tokens=tokens, templates=templates)

    assert compose(notice, tokens=tokens, templates=templates) == first
    assert (
        compose(replace(notice, outbox_id="b" * 32), tokens=tokens, templates=templates).message_id != first.message_id
    )


@pytest.mark.parametrize(
    "broken",
    [
        {"recipient": Address("ann@acme.example\r\nBcc: eve@evil.example")},
        {"recipient": Address("ann@acme.example, eve@evil.example")},
        {"mailbox": NoticeMailbox("support", "Acme", "support"), "kind": NoticeKind.ACKNOWLEDGEMENT},
        {"mailbox": NoticeMailbox("support@acme.example", "Acme", "a b"), "kind": NoticeKind.ACKNOWLEDGEMENT},
        {"account_domain": "acme\r\n.example"},
    ],
)
def test_an_address_that_cannot_be_written_is_refused(
    notice: Notice, broken: dict[str, object], tokens: Tokens, templates: Templates
) -> None:
    with pytest.raises(InvalidInput, match=r"cannot (write|be written)"):
        compose(replace(notice, **broken), tokens=tokens, templates=templates)  # type: ignore[arg-type]


nasty = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=st.sampled_from('\r\n\t :<>@,;"\\\x00\x0b\x85\u2028\u202e=?é打\ud800ab.'), max_size=40),
    st.sampled_from(
        [
            "x\r\nBcc: eve@evil.example",
            "=?utf-8?Q?=0D=0ABcc:_eve@evil.example?=",
            "x\r\n\r\nbody",
            "\r.\r\nMAIL FROM:<>",
            "a@b.example>\r\nX: y",
            "{{ 7 * 7 }}",
            '"a b"@c.example',
        ]
    ),
)
addresses = st.one_of(
    nasty, st.sampled_from(["ann@acme.example", "é@acme.example", '"x@y z"@acme.example', "a@bücher.example"])
)
people = st.builds(Address, addresses, nasty)
notices = st.builds(
    Notice,
    outbox_id=st.just("0" * 32),
    kind=st.sampled_from(NoticeKind),
    language=nasty,
    account_id=nasty,
    account=nasty,
    account_domain=st.one_of(st.just("acme.gw.example"), nasty),
    company_name=nasty,
    recipient=people,
    agent_number=st.one_of(st.none(), st.just(3)),
    mailbox=st.builds(NoticeMailbox, addresses, nasty, st.one_of(st.just("support"), nasty)),
    ticket_id=st.just("2" * 32),
    ticket_number=st.just(1001),
    ticket_label=nasty,
    ticket_subject=nasty,
    ticket_state=nasty,
    ticket_priority=nasty,
    team=nasty,
    assignee=nasty,
    author=st.one_of(st.none(), people),
    sender=nasty,
    sender_reason=nasty,
    text=nasty,
    attachments=st.lists(st.tuples(nasty, nasty), max_size=3).map(tuple),
    thread=st.lists(nasty, max_size=4).map(tuple),
    created_at=st.datetimes(min_value=datetime(1990, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)


def well_formed(values: Notice) -> Notice:
    """The same notice with addresses that are fit, so that the other values reach the writer in every example."""
    return replace(
        values,
        account_domain="acme.gw.example",
        account_id="acme",
        recipient=replace(values.recipient, address="ann@acme.example"),
        mailbox=replace(values.mailbox, address="support@acme.example", inbound="support"),
    )


def assert_nothing_was_injected(rendered: Rendered) -> None:
    head, _, body = rendered.content.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if line[:1] != b" "]
    assert [name for name in FIELDS if name in names] == names
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|[^\n]{1000}|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", rendered.content)
    assert body.isascii()
    message = read(rendered)
    assert len(list(message.walk())) == 3
    assert len(message["From"].addresses) == len(message["To"].addresses) == len(message["Reply-To"].addresses) == 1
    for name in ("From", "To", "Reply-To", "Subject"):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", str(message[name] or ""))


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(values=notices)
def test_no_value_of_a_notice_makes_a_header_or_a_stray_line_end(
    values: Notice, tokens: Tokens, templates: Templates
) -> None:
    """T14, T02: what cannot be written is refused, everything else is text."""
    assert_nothing_was_injected(compose(well_formed(values), tokens=tokens, templates=templates))
    try:
        rendered = compose(values, tokens=tokens, templates=templates)
    except (InvalidInput, UnicodeEncodeError):
        return
    assert_nothing_was_injected(rendered)
