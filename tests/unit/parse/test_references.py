"""Message-IDs of References and In-Reply-To."""

from __future__ import annotations

from gateway.parse import parse


def test_ids_that_python_encoded_because_they_did_not_fit_a_line_are_the_ids_that_were_meant() -> None:
    content = (
        b"From: a@b.example\r\n"
        b"In-Reply-To: =?utf-8?q?=3Cagraauknhz453axq2jp6jjscsma2eacrju7hw6ezftzwzsuaes?=\r\n"
        b" =?utf-8?q?7odqkfho4h5gu5blnlm5ievuopu=40acme=2Egateway=2Elocalhost=3E?=\r\n\r\nx\r\n"
    )
    wanted = "agraauknhz453axq2jp6jjscsma2eacrju7hw6ezftzwzsuaes7odqkfho4h5gu5blnlm5ievuopu@acme.gateway.localhost"
    assert parse(content).references == (wanted,)
