"""Who took a message, and from which address: every server writes Received in its own way, and clients try to."""

from __future__ import annotations

import time

import pytest

from gateway.verify.received import read_received

SERVERS = {
    "Postfix": "from mx.c.test (mail.c.test [192.0.2.1]) by mail.acme.test (Postfix) with ESMTPS id 4A for <s@acme.test>; x",
    "Postfix, folded": "from mx.c.test (mail.c.test [192.0.2.1])\r\n\tby mail.acme.test (Postfix)\r\n\twith ESMTP; x",
    "Postfix, no name": "from mx.c.test (unknown [192.0.2.1]) by mail.acme.test (Postfix) with ESMTP id 4A; x",
    "Postfix, TLS told": "from a.test (b.test [192.0.2.1]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)) "
    "(No client certificate requested) by mail.acme.test (Postfix) with ESMTPS id 4A; x",
    "sendmail": "from mx.c.test (mail.c.test [192.0.2.1]) by mail.acme.test (8.14.4/8.14.4) with ESMTP id o91; x",
    "sendmail, forged": "from a.test (b.test [192.0.2.1] (may be forged)) by mail.acme.test (8.17/8.17) with ESMTP; x",
    "sendmail, ident": "from a.test (IDENT:root@b.test [192.0.2.1]) by mail.acme.test (8.9.3/8.9.3) with ESMTP; x",
    "Exim": "from b.test ([192.0.2.1] helo=a.test) by mail.acme.test with esmtps (Exim 4.96) id 1Ab for s@acme.test; x",
    "Exim, port": "from b.test ([192.0.2.1]:11111) by mail.acme.test with esmtp (Exim 4.80) id 2AA for s@acme.test; x",
    "Exim, no name": "from [192.0.2.1] (port=4711 helo=a.test) by mail.acme.test with esmtp (Exim 4.94.2) id 1A; x",
    "Exim, all": "from b.test ([192.0.2.1]:99 helo=a.test ident=x) by mail.acme.test with esmtps (TLS1.3) id 1; x",
    "Gmail": "from a.test (b.test. [192.0.2.1]) by mail.acme.test with ESMTPS id d20si for <s@acme.test> "
    "(version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256); x",
    "Gmail, no name": "from a.test ([192.0.2.1]) by mail.acme.test with ESMTP id a6; x",
    "Exchange": "from a.test (192.0.2.1) by mail.acme.test (10.152.92.98) with Microsoft SMTP Server "
    "(version=TLS1_2, cipher=TLS_ECDHE) id 15.20.797.11 via Frontend Transport; x",
    "Exchange 2003": "from a.test ([192.0.2.1]) by mail.acme.test with Microsoft SMTPSVC(7.5.7601.22751); x",
    "qmail": "from b.test (HELO a.test) (192.0.2.1) by mail.acme.test with SMTP; x",
    "qmail, no name": "from unknown (HELO a.test) (192.0.2.1) by mail.acme.test with ESMTPS; x",
    "qmail, user": "from unknown (HELO a.test) (joe@192.0.2.1) by mail.acme.test with ESMTPA; x",
    "qpsmtpd": "from b.test (HELO a.test) ([192.0.2.1]) by mail.acme.test with SMTP id 0; x",
    "Yahoo": "from 127.0.0.1 (EHLO a.test) (192.0.2.1) by mail.acme.test with SMTPS; x",
    "Zimbra": "from a.test (LHLO a.test) (192.0.2.1) by mail.acme.test with LMTP; x",
    "CommuniGate": "from [192.0.2.1] (HELO a.test) by mail.acme.test (CommuniGate Pro SMTP 6.3.7) with ESMTP id 1; x",
    "Stalwart": "from a.test (b.test [192.0.2.1] (AS64500 Example, DE)) (using TLSv1.3 with cipher TLS13) "
    "by mail.acme.test (Stalwart SMTP) with ESMTPS id 3; x",
    "mox": "from a.test (b.test [192.0.2.1]) by mail.acme.test ([203.0.113.9]) via tcp with ESMTPS id 1 for <s@acme.test>; x",
    "OpenSMTPD": "from a.test (b.test [192.0.2.1]) by mail.acme.test (OpenSMTPD) with ESMTPS id 94c5 (TLSv1.3:X:256:NO); x",
    "Domino": "from a.test ([192.0.2.1]) by mail.acme.test (Lotus Domino Release 9.0) with ESMTP id 2010-1:2; x",
    "Oracle": "from a.test ([192.0.2.1]) by mail.acme.test (Oracle Messaging Server 7u4-27.08 (7.0.4.27.7) 64bit "
    "(built Aug 22 2013)) with ESMTP id <0NFF@a> for s@acme.test; x",
    "a final dot": "from a.test (b.test [192.0.2.1]) by MAIL.Acme.test. with ESMTP; x",
}  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
def test_the_address_the_server_saw_is_found(server):
    found = read_received(SERVERS[server])
    assert (found.by, found.client) == ("mail.acme.test", "192.0.2.1")


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("from a (b [IPv6:2001:DB8::1]) by mail.acme.test (Postfix) with ESMTP; x", "2001:db8::1"),
        ("from a (b. [2001:db8:0::1]) by mail.acme.test with ESMTPS; x", "2001:db8::1"),
        ("from a (2001:db8::1) by mail.acme.test (2001:db8::2) with Microsoft SMTP Server id 15; x", "2001:db8::1"),
        ("from a (b [IPv6:::ffff:192.0.2.1]) by mail.acme.test; x", "192.0.2.1"),
        ("from a (::ffff:192.0.2.1) by mail.acme.test; x", "192.0.2.1"),
    ],
)
def test_ipv6_in_every_notation(value, client):
    assert read_received(value).client == client


HOSTILE = {
    "an address literal for HELO (Postfix)": (
        "from [198.51.100.7] (unknown [192.0.2.1]) by mail.acme.test (Postfix) with ESMTP; x", "192.0.2.1"),
    "an IPv6 literal for HELO": (
        "from [IPv6:2001:db8::7] (unknown [192.0.2.1]) by mail.acme.test (Postfix) with ESMTP; x", "192.0.2.1"),
    "an address literal for HELO (Exim)": (
        "from [192.0.2.1] (port=1 helo=[198.51.100.7]) by mail.acme.test with esmtp (Exim 4.96) id 1; x", "192.0.2.1"),
    "the same where the client has a name": (
        "from b.test ([192.0.2.1] helo=[198.51.100.7]) by mail.acme.test with esmtp (Exim 4.96) id 1; x", "192.0.2.1"),
    "an address literal for HELO (qmail)": (
        "from unknown (HELO [198.51.100.7]) (192.0.2.1) by mail.acme.test with SMTP; x", "192.0.2.1"),
    "an address literal for HELO (Exchange)": ("from [198.51.100.7] (192.0.2.1) by mail.acme.test with Microsoft SMTP; x", "192.0.2.1"),
    "an address literal for HELO and nothing else": ("from [198.51.100.7] by mail.acme.test with ESMTP; x", None),
    "the same with TLS told": ("from [198.51.100.7] (using TLSv1.2 with cipher X (256 bits)) by mail.acme.test; x", None),
    "a bare address for HELO and nothing else": ("from 198.51.100.7 by mail.acme.test with ESMTP; x", None),
    "a comment in HELO": ("from x (b [198.51.100.7]) (unknown [192.0.2.1]) by mail.acme.test; x", None),
    "a comment in HELO that is empty": ("from x () (unknown [192.0.2.1]) by mail.acme.test; x", "192.0.2.1"),
    "a bare address in a comment of HELO": ("from x (198.51.100.7) (unknown [192.0.2.1]) by mail.acme.test; x", None),
    "the end of the comment in HELO": ("from x (unknown [198.51.100.7]) by mail.acme.test (b [192.0.2.1]) by mail.acme.test; x", None),
    "a comment left open in HELO": ("from x ( (unknown [192.0.2.1]) by mail.acme.test; x", None),
    "a comment closed in HELO": ("from x) (unknown [192.0.2.1]) by mail.acme.test; x", None),
    "blanks in HELO": ("from x y (unknown [192.0.2.1]) by mail.acme.test; x", None),
    "`by` for HELO": ("from by (unknown [192.0.2.1]) by mail.acme.test; x", "192.0.2.1"),
    "`from` for HELO": ("from from (unknown [192.0.2.1]) by mail.acme.test; x", "192.0.2.1"),
    "a whole clause in HELO": ("from by mail.acme.test (unknown [192.0.2.1]) by mail.acme.test; x", None),
    "a name that holds an address": ("from x ([198.51.100.7][192.0.2.1]) by mail.acme.test; x", None),
    "two addresses in one comment": ("from x ([198.51.100.7] [192.0.2.1]) by mail.acme.test; x", None),
    "HELO with blanks in Exim's comment": ("from [192.0.2.1] (helo=x [198.51.100.7]) by mail.acme.test; x", None),
    "HELO that ends Exim's comment": ("from [192.0.2.1] (helo=x) ([198.51.100.7]) by mail.acme.test; x", None),
    "an authenticated name that looks like an address": (
        "from x (b [192.0.2.1]) (Authenticated sender: [198.51.100.7]) by mail.acme.test; x", None),
    "a nested comment with another address": ("from x (b [192.0.2.1] ([198.51.100.7])) by mail.acme.test; x", None),
    "an escaped parenthesis": ("from x (b\\) [192.0.2.1]) by mail.acme.test; x", None),
    "no octets but numbers": ("from x (b [999.0.2.1]) by mail.acme.test; x", None),
    "local": ("from a (localhost [local]) by mail.acme.test (OpenSMTPD) with ESMTPA; x", None),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_what_the_client_said_never_counts_as_its_address(what):
    value, client = HOSTILE[what]
    assert read_received(value).client == client


@pytest.mark.parametrize(
    ("value", "by"),
    [
        ("by mail.acme.test (Postfix, from userid 1000) id 4A; x", "mail.acme.test"),
        ("(from root@localhost) by mail.acme.test (8.14.4/8.14.4/Submit) id o9; x", "mail.acme.test"),
        ("by 2002:a05:6a20:1234:b0:1 with SMTP id x20; x", "2002:a05:6a20:1234:b0:1"),
        ("from mail by f42.i.mail.ru with local id 1; x", "f42.i.mail.ru"),
        ("(qmail 20255 invoked from network); 29 Apr 2009 23:34:45 -0000", ""),
        ("", ""),
        ("from a.test", ""),
        ("from a.test by", ""),
        ("by", ""),
        ("from a (b [192.0.2.1]) by one.test by two.test; x", ""),
        ("from " + "x" * 5000 + " by mail.acme.test", ""),
    ],
)
def test_a_field_without_a_client_says_so(value, by):
    found = read_received(value)
    assert (found.by, found.client) == (by, None)


@pytest.mark.parametrize("value", ["(" * 4096, "from x " + "(" * 2000 + ")" * 2000, "from " + "a.1:" * 1000, "[" * 4096,
                                   "from x (" + "helo=a " * 550 + "!) by y", "from x (" + "1" * 4000 + ") by y"])  # fmt: skip
def test_monsters_take_no_time(value):
    begun = time.process_time()
    read_received(value)
    assert time.process_time() - begun < 0.2


def test_a_comment_of_helo_helo_helo_held_the_process_for_ever():
    """Anybody could write it below the border, and send it through the company's own forwarder."""
    begun = time.process_time()
    found = read_received("from x (" + "helo=a" * 600 + " (y)) by mail.acme.test; x")
    assert (found.by, found.client) == ("mail.acme.test", None)
    assert time.process_time() - begun < 0.2


@pytest.mark.parametrize(
    ("value", "who"),
    [
        ("by mail.acme.test (Postfix, from userid 1000) id 4A; x", "userid 1000"),
        ("(from root@localhost) by mail.acme.test (8.14.4/8.14.4/Submit) id o9; x", "/submit"),
        ("from www-data by mail.acme.test with local (Exim 4.96) id 1; x", "with local"),
        ("(qmail 20255 invoked by uid 33); 29 Apr 2009 23:34:45 -0000", "invoked by uid 33"),
        ("by mail.acme.test (Postfix) id 4A; x", ""),
    ],
)
def test_what_was_handed_in_on_the_server_itself_says_so(value, who):
    assert read_received(value).submitted == who
