"""What a challenge that came back teaches of the server that brought it."""

from __future__ import annotations

import pytest
from learning_shapes import BY_COMPANY, RELAYED, returned, sent_content
from shapes import sign

from gateway.core.envelope import Client
from gateway.core.forwarder import Form

GOOGLE = Client("209.85.220.41", "mail-sor-f41.google.com")
MICROSOFT = Client("40.107.1.2", "EUR05-DB8-obe.outbound.protection.outlook.com")
GMAILS = (
    b"Received: by mail-sor-f41.google.com with SMTP id a1sor1.5 for <support@acme.gw.test>; x\r\n"
    b"X-Forwarded-To: support@acme.gw.test\r\n"
    b"X-Forwarded-For: acme.help@gmail.com support@acme.gw.test\r\n"
    b"Delivered-To: acme.help@gmail.com\r\n"
    b"Received: by 2002:a05:6a20:1234:b0:1 with SMTP id x20csp; x\r\n"
    b"X-Received: by 2002:a17:906:1 with SMTP id y; x\r\n"
    b"Return-Path: <challenge+k7q2@acme.gw.test>\r\n"
    b"Received: from relay.gw.test (relay.gw.test. [127.0.7.7]) by mx.google.com with ESMTPS id d20si "
    b"for <acme.help@gmail.com> (version=TLS1_3 cipher=X bits=256/256); x\r\n"
    b"Received: from gateway (gw.test [127.0.7.1]) by relay.gw.test (Postfix) with ESMTPS id 3B; x\r\n"
)
MICROSOFTS = (
    b"Received: from AM9PR08MB1.eurprd08.prod.outlook.com (2603:10a6:20b:1::1) by DB8PR08MB2.eurprd08.prod.outlook.com "
    b"(2603:10a6:10:1::2) with Microsoft SMTP Server id 15.20.1; x\r\n"
    b"Received: from relay.gw.test (127.0.7.7) by AM7EUR03FT01.mail.protection.outlook.com (10.152.1.1) with Microsoft "
    b"SMTP Server id 15.20.1 via Frontend Transport; x\r\n"
    b"X-MS-Exchange-ForwardingLoop: support@acme.test;0000-1111\r\n"
    b"X-LD-Processed: 0000-1111,ExtFwd\r\n"
)


async def test_a_companys_own_server_that_changes_nothing():
    lesson = await returned()
    found = lesson.forwarder
    assert (found.id, found.name, found.networks, found.address) == (
        "f1",
        "mail.acme.test",
        ("127.0.5.0/24",),
        "127.0.5.1",
    )
    assert (found.provider, found.spf_domain, found.form, found.reverse_path) == ("", "acme.test", Form.UNCHANGED, "")
    assert (found.border, found.trail, found.keeps_return_path) == ("mail.acme.test", (), False)
    assert (found.arc_sealer, found.dkim_domain, found.adds) == ("", "", ())
    assert (found.keeps_author, found.keeps_subject, found.keeps_message_id, found.keeps_body) == (True,) * 4
    assert [r.code for r in lesson.remarks] == ["all-good"]
    assert all(r.is_good and not r.cure for r in lesson.remarks)


async def test_gmail_is_a_provider_and_its_form_names_the_user():
    lesson = await returned(
        GMAILS + sent_content(), client=GOOGLE, reverse_path="acme.help+caf_=support=acme.gw.test@gmail.com"
    )
    found = lesson.forwarder
    assert (found.name, found.provider, found.spf_domain) == ("google", "google", "gmail.com")
    assert (found.form, found.reverse_path) == (Form.GMAIL_CAF, "acme.help+caf_=support=acme.gw.test@gmail.com")
    assert (found.border, found.trail) == ("mx.google.com", ("~mail-*.google.com", "~*"))
    assert found.keeps_return_path
    assert found.adds == ("x-forwarded-for", "x-forwarded-to")
    assert [r.code for r in lesson.remarks] == ["all-good"]


async def test_microsoft_is_a_provider_and_its_form_names_the_tenant():
    lesson = await returned(
        MICROSOFTS + sent_content(), client=MICROSOFT, reverse_path="bounces+SRS=ab/CD+e=XY@tenant.onmicrosoft.com"
    )
    found = lesson.forwarder
    assert (found.provider, found.form, found.reverse_path) == (
        "microsoft", Form.MICROSOFT_SRS, "bounces+srs=*@tenant.onmicrosoft.com")  # fmt: skip
    assert found.spf_domain == "tenant.onmicrosoft.com"
    assert (found.border, found.trail) == ("*.mail.protection.outlook.com", ("*.prod.outlook.com",))
    assert found.adds == ("x-ld-processed", "x-ms-exchange-forwardingloop")


@pytest.mark.parametrize(
    ("reverse_path", "client", "form", "bound"),
    [
        ("SRS0=HHH=TT=acme.gw.test=challenge+k7q2@acme.test", BY_COMPANY, Form.SRS0, "@acme.test"),
        ("SRS0=HHH=TT=acme.gw.test=challenge+k7q2@srs.host.test", BY_COMPANY, Form.SRS0, "@srs.host.test"),
        ("SRS1=H=a.test==HHH=TT=acme.gw.test=challenge@acme.test", BY_COMPANY, Form.SRS1, "@acme.test"),
        ("prvs=1234567890=challenge+k7q2@acme.gw.test", BY_COMPANY, Form.UNCHANGED, ""),
        ("CHALLENGE+k7q2@ACME.gw.test", BY_COMPANY, Form.UNCHANGED, ""),
        ("support@acme.test", BY_COMPANY, Form.REPLACED, "support@acme.test"),
        ("support+bncBCX@acme.test", BY_COMPANY, Form.REPLACED, "support+*@acme.test"),
        (
            "list-return-7-support=acme.gw.test@lists.test",
            BY_COMPANY,
            Form.VERP,
            "list-return-*support=acme.gw.test@lists.test",
        ),
        (None, BY_COMPANY, Form.NULL, ""),
        # a provider's own domain is every customer's
        ("SRS0=HHH=TT=acme.gw.test=challenge+k7q2@srs.google.test", GOOGLE, Form.SRS0, ""),
        ("SRS0=HHH=TT=acme.gw.test=challenge+k7q2@srs.acme.test", GOOGLE, Form.SRS0, "@srs.acme.test"),
        ("support+bncBCX@googlegroups.com", GOOGLE, Form.REPLACED, ""),
        ("support+bncBCX@acme.test", GOOGLE, Form.REPLACED, "support+*@acme.test"),
        ("bounces+SRS=X=YY@outlook.com", MICROSOFT, Form.MICROSOFT_SRS, ""),
        ("acme+SRS=X=YY=acme.gw.test=challenge@outlook.com", MICROSOFT, Form.MICROSOFT_SRS, "acme+srs=*@outlook.com"),
        ("challenge+k7q2@acme.gw.test", GOOGLE, Form.UNCHANGED, ""),
    ],
)
async def test_the_form_and_the_part_of_it_that_is_bound_to_this_mailbox(reverse_path, client, form, bound):
    found = (await returned(reverse_path=reverse_path, client=client)).forwarder
    assert (found.form, found.reverse_path) == (form, bound)


@pytest.mark.parametrize(
    ("client", "networks"),
    [
        (Client("127.0.5.1", "h"), ("127.0.5.0/24",)),
        (Client("::ffff:127.0.5.1", "h"), ("127.0.5.0/24",)),
        (Client("2001:db8:1:2:3::4", "h"), ("2001:db8:1:2::/64",)),
        (None, ()),
    ],
)
async def test_the_network_around_the_client(client, networks):
    assert (await returned(client=client)).forwarder.networks == networks


AMAVIS = (
    b"Received: from localhost (localhost [127.0.0.1]) by mail.acme.test (Postfix) with ESMTP id 6; x\r\n"
    b"Received: from mail.acme.test ([127.0.0.1]) by localhost (mail.acme.test [127.0.0.1]) (amavisd-new, port 10024) "
    b"with ESMTP id 5; x\r\n"
)
ALIAS = b"Received: by mail.acme.test (Postfix) id 9; x\r\n"
OWN = b"Received: from gateway (gw.test [127.0.7.1]) by mail.acme.test (Postfix) with ESMTPS id 3B; x\r\n"
FILTER = (
    b"Received: from filter.test (filter.test [127.0.8.8]) by mail.acme.test (Postfix) with ESMTPS id 5; x\r\n"
    b"Received: from relay.gw.test (relay.gw.test [127.0.7.7]) by filter.test (Postfix) with ESMTPS id 4A; x\r\n"
)


@pytest.mark.parametrize(
    ("fields", "relay", "border", "trail"),
    [
        (RELAYED, {"127.0.7.7"}, "mail.acme.test", ()),
        (RELAYED, {"::ffff:127.0.7.7"}, "mail.acme.test", ()),
        (RELAYED, (), "mail.acme.test", ()),
        (AMAVIS + RELAYED, {"127.0.7.7"}, "mail.acme.test", ("mail.acme.test<127.0.0.1", "localhost<127.0.0.1")),
        (AMAVIS + RELAYED, (), "mail.acme.test", ("mail.acme.test<127.0.0.1", "localhost<127.0.0.1")),
        (ALIAS + RELAYED, {"127.0.7.7"}, "mail.acme.test", ("~mail.acme.test",)),
        # the relay is the forwarder itself
        (OWN, {"127.0.5.1"}, "mail.acme.test", ()),
        # a filter before the forwarder took it from our relay
        (FILTER, {"127.0.7.7"}, "filter.test", ("mail.acme.test<127.0.8.8",)),
        # somebody took it from our relay, and nothing says whether he is the relay or the company's filter
        (FILTER, (), "", ()),
        # our relay's address as HELO says nothing
        (b"Received: from [127.0.7.7] (x [127.0.9.9]) by mail.acme.test (Postfix); x\r\n", {"127.0.7.7"}, "mail.acme.test", ()),
        (b"Received: from [127.0.7.7] by mail.acme.test (Postfix); x\r\n", {"127.0.7.7"}, "", ()),
        (b"", {"127.0.7.7"}, "", ()),
        (b"Received: (qmail 1 invoked from network); x\r\n" + RELAYED, {"127.0.7.7"}, "mail.acme.test", ("~",)),
    ],
)  # fmt: skip
async def test_the_border_is_the_field_that_shows_our_relay(fields, relay, border, trail):
    found = (await returned(fields + sent_content(), relay_addresses=relay)).forwarder
    assert (found.border, found.trail) == (border, trail)


async def test_a_filter_before_the_company_passed_for_our_relay_and_then_vouched_for_all_who_send_through_it():
    """An ESP sends from other addresses than `relay.url` has, so that its address stood in no field."""
    content = FILTER + RELAYED.partition(b"\r\n")[2] + sent_content()
    assert (await returned(content, relay_addresses={"127.0.7.99"})).forwarder.border == ""


async def test_a_relay_that_forwards_as_well_made_its_own_filters_field_the_border():
    """Every message has that field, with the server's own address: it vouched for each domain whose mail the server sends."""
    filtered = (
        b"Received: from localhost (mail.acme.test [127.0.5.1]) by mail.acme.test (Postfix) with ESMTP id 5; x\r\n"
    )
    found = (await returned(filtered + OWN + sent_content(), relay_addresses={"127.0.5.1"})).forwarder
    assert (found.border, found.trail) == ("mail.acme.test", ("mail.acme.test<127.0.5.1",))


async def test_a_return_path_below_the_border_is_not_the_forwarders():
    content = RELAYED + b"Return-Path: <challenge+k7q2@acme.gw.test>\r\n" + sent_content()
    assert not (await returned(content)).forwarder.keeps_return_path


async def test_a_signature_the_forwarder_adds():
    lesson = await returned(sign(RELAYED + sent_content(), "acme.test"))
    assert lesson.forwarder.dkim_domain == "acme.test"


async def test_fields_that_were_sent_are_not_added():
    content = RELAYED + b"Precedence: bulk\r\nList-Id: <a.test>\r\nX-Spam: no\r\n" + sent_content()
    assert (await returned(content)).forwarder.adds == ("list-id", "precedence")
    assert (await returned(content, sent_fields=["Precedence"])).forwarder.adds == ("list-id",)


async def test_a_name_that_was_chosen_stays():
    assert (await returned(name="Old server")).forwarder.name == "Old server"
