from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.errors import InvalidInput, UnknownThing
from gateway.core.message import Address
from gateway.core.notice import Notice, NoticeKind
from gateway.notify.context import context
from gateway.notify.render import OUTPUT_BYTES, Page, Templates


def folder_with(tmp_path: Path, source: str, language: str = "en") -> Templates:
    kind = tmp_path / "notifications" / "note"
    kind.mkdir(parents=True, exist_ok=True)
    (kind / f"{language}.j2").write_text(source, encoding="utf-8")
    return Templates(tmp_path)


def rendered(tmp_path: Path, source: str, **values: str | int | bool | list[str] | list[list[str]]) -> Page:
    return folder_with(tmp_path, source).render("note", "en", values)


def blocks(subject: str = "s", text: str = "t", html: str = "h") -> str:
    return (
        "{% block subject %}" + subject + "{% endblock %}"
        "{% block text %}" + text + "{% endblock %}"
        "{% block html %}" + html + "{% endblock %}"
    )


def test_every_kind_the_line_orders_has_an_english_template(templates: Templates, notice: Notice) -> None:
    assert set(templates.kinds()) >= set(NoticeKind)
    for kind in NoticeKind:
        page = templates.render(kind, "en", context(replace(notice, kind=kind)))
        assert page.subject
        assert page.text.strip()
        assert page.html.strip()
        assert page.version.startswith(f"{kind}/en#")


def test_only_the_html_block_is_escaped_whatever_the_template_says(tmp_path: Path) -> None:
    page = rendered(tmp_path, blocks("{{ x }}", "{{ x }}", "{{ x }}"), x="<b>&</b>")

    assert (page.subject, page.text, page.html) == ("<b>&</b>", "<b>&</b>", "&lt;b&gt;&amp;&lt;/b&gt;")


def test_a_subject_of_several_lines_becomes_one(tmp_path: Path) -> None:
    assert rendered(tmp_path, blocks("\n a\r\nBcc: {{ x }}\n"), x="e\x00ve").subject == "a Bcc: eve"


@pytest.mark.parametrize(
    ("asked", "given"),
    [("de-AT", "de"), ("de", "de"), ("DE_at", "de"), ("fr", "en"), ("", "en"), ("../../secret", "en"), ("en", "en")],
)
def test_a_language_falls_back_to_its_base_and_then_to_english(tmp_path: Path, asked: str, given: str) -> None:
    folder_with(tmp_path, blocks("english"))
    templates = folder_with(tmp_path, blocks("deutsch"), "de")

    assert templates.render("note", asked, {}).version.startswith(f"note/{given}#")


@pytest.mark.parametrize("kind", ["nothing", "../notifications/note", "", "_parts"])
def test_an_unknown_kind_is_refused_with_the_kinds_there_are(tmp_path: Path, kind: str) -> None:
    templates = folder_with(tmp_path, blocks())

    with pytest.raises(UnknownThing, match="there are note"):
        templates.render(kind, "en", {})


def test_a_missing_block_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="add the block text, html"):
        rendered(tmp_path, "{% block subject %}{% endblock %}")


@pytest.mark.parametrize(
    "hostile",
    [
        "{{ unknown }}",
        "{{ ''.__class__ }}",
        "{{ x|attr('__class__') }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 10 ** 1000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ x|center(1000000000) }}",
        "{{ range(10) }}",
        "{{ lipsum() }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ self.__init__ }}",
        "{% set _ = names.append('a') %}",
        "{% include '/etc/passwd' %}",
        "{% from '../policies/x.yaml' import y %}",
        "{{ 1 / 0 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ],
)
def test_a_hostile_template_gives_an_error_and_nothing_else(tmp_path: Path, hostile: str) -> None:
    with pytest.raises(InvalidInput, match="template note/en"):
        rendered(tmp_path, blocks(text=hostile), x="x", names=["n"])


def test_a_template_that_gives_too_much_is_stopped(tmp_path: Path) -> None:
    many = [["x"] for _ in range(1000)]
    source = blocks(text="{% for a in many %}{% for b in many %}1234567890{% endfor %}{% endfor %}")

    with pytest.raises(InvalidInput, match=str(OUTPUT_BYTES)):
        rendered(tmp_path, source, many=many)


def test_a_file_is_compiled_once(tmp_path: Path) -> None:
    templates = folder_with(tmp_path, blocks("before"))
    before = templates.render("note", "en", {})
    folder_with(tmp_path, blocks("after"))

    assert templates.render("note", "en", {}) == before


def test_what_a_stranger_fills_to_the_brim_still_renders(templates: Templates, notice: Notice) -> None:
    """A limit on the output must not let a customer stop the notification about his own mail."""
    for char in ('"', "\n", "<", "\U0001f525", '"\n'):
        full = replace(
            notice,
            sender="unverified",
            ticket_subject=char * 100_000,
            author=Address("carol@customer.example", char * 100_000),
            text=char * 500_000,
            attachments=tuple((char * 5000, char * 5000) for _ in range(5000)),
        )
        page = templates.render(full.kind, "en", context(full))
        assert "and 4950 more" in page.text


def test_templates_get_plain_values_only(notice: Notice) -> None:
    for kind in NoticeKind:
        for value in context(replace(notice, kind=kind)).values():
            assert type(value) in (str, int, bool, list)


@pytest.mark.parametrize("call", ["'a'.ljust(300000000)", "'a'.zfill(300000000)", "'a'.replace('', 'b')"])
def test_a_method_that_makes_much_of_little_is_refused(call: str, tmp_path: Path) -> None:
    folder = tmp_path / "notifications" / "new-ticket"
    folder.mkdir(parents=True)
    (folder / "en.j2").write_text(
        "{% block subject %}{{ "
        + call
        + " }}{% endblock %}{% block text %}{% endblock %}{% block html %}{% endblock %}"
    )
    with pytest.raises(Exception, match=r"unsafe|not safe"):
        Templates(tmp_path).render("new-ticket", "en", {})
