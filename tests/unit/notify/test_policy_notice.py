"""What admins are told of their policy: in every language the same facts and commands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.notice import Rendered
from gateway.core.policy_notice import NOT_PUBLISHED, PROBATION, PolicyNotice
from gateway.notify.folder import templates_folder
from gateway.notify.policy_notice import compose_policy_notice
from gateway.notify.render import Templates
from tests.unit.notify.test_digest import HOSTILE, LANGUAGES, NOW, TOKENS, bodies, parsed

NOTICE = PolicyNotice(
    outbox_id="0" * 31 + "1",
    kind=PROBATION,
    language="en",
    account_id="a",
    account="acme",
    account_domain="acme.gw.test",
    company_name="Acme",
    timezone="Europe/Berlin",
    recipient="ops@acme.test",
    author="ann",
    note="no more of www.x.example",
    at=NOW,
    version=7,
    before=6,
    total=23,
    waiting=(HOSTILE,),
    problems=(),
    created_at=NOW,
)
REFUSED = replace(
    NOTICE, kind=NOT_PUBLISHED, problems=("line 3, column 9: there is no team `a`", "line 4, column 1: <b>")
)


def written(notice: PolicyNotice) -> Rendered:
    return compose_policy_notice(notice, tokens=TOKENS, templates=Templates(templates_folder()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_what_waits_and_how_to_bring_it_back(language: str) -> None:
    message = parsed(written(replace(NOTICE, language=language)))
    for body in bodies(message).values():
        for fact in ("7", "23", "22", "Acme", "ann", "2026-11-22 10:00", "2026-11-22 08:30", HOSTILE.message_id, "24"):
            assert fact in body, fact
        for command in ("policy rollback 6", "reprocess --since 2026-11-22T09:00Z", "quarantine release ID"):
            assert f"gateway {command} --account acme" in body
        for alive in ("www.", "://", "evil.example", "x@evil"):
            assert alive not in body
    assert "7" in message["Subject"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_version_has_none_to_go_back_to(language: str) -> None:
    for body in bodies(parsed(written(replace(NOTICE, language=language, version=1, before=0)))).values():
        assert "rollback" not in body
        assert "gateway policy publish FILE --account acme" in body


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_why_a_version_was_not_published(language: str) -> None:
    for kind, body in bodies(parsed(written(replace(REFUSED, language=language)))).items():
        for fact in ("2026-11-22 10:00", "ann", "line 3, column 9: there is no team `a`", "policy publish FILE"):
            assert fact in body, fact
        assert ("<b>" in body) == (kind == "text/plain")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("notice", [NOTICE, REFUSED])
def test_no_value_is_left_unsaid(language: str, notice: PolicyNotice) -> None:
    """Each language has a text of its own, and no placeholder of it is left."""
    rendered = written(replace(notice, language=language))
    assert rendered.template.startswith(f"{notice.kind}/{language}#")
    for body in bodies(parsed(rendered)).values():
        assert "{" not in body.replace("{background", "")
