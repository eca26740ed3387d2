"""The new text of an answer: losing what the author wrote is worse than keeping a quotation."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.parse import parse
from gateway.parse.quotes import without_quotes

from .shapes import message

ATTRIBUTIONS = {
    "en": "On Thu, Nov 20, 2025 at 10:00 AM Support <s@acme.example> wrote:",
    "en-wrapped": "On Thu, Nov 20, 2025 at 10:00 AM Support\n<s@acme.example> wrote:",
    "de": "Am 20.11.2025 um 10:00 schrieb Support <s@acme.example>:",
    "de-gmail": "Support <s@acme.example> schrieb am Do., 20. Nov. 2025, 10:00:",
    "fr": "Le jeu. 20 nov. 2025 à 10:00, Support <s@acme.example> a écrit :",
    "es": "El jue, 20 nov 2025 a las 10:00, Support (<s@acme.example>) escribió:",
    "it": "Il giorno gio 20 nov 2025 alle ore 10:00 Support <s@acme.example> ha scritto:",
    "pt": "Em qui., 20 de nov. de 2025 às 10:00, Support <s@acme.example> escreveu:",
    "nl": "Op do 20 nov 2025 om 10:00 schreef Support <s@acme.example>:",
    "pl": "W dniu 20.11.2025 o 10:00, Support pisze:",
    "ru": "20 нояб. 2025 г. 10:00 пользователь Support <s@acme.example> написал:",
    "uk": "чт, 20 лист. 2025 р. о 10:00 Support <s@acme.example> пише:",
    "sv": "Den tors 20 nov. 2025 kl 10:00 skrev Support <s@acme.example>:",
    "fi": "to 20. marrask. 2025 klo 10.00 Support (s@acme.example) kirjoitti:",
    "cs": "čt 20. 11. 2025 v 10:00 odesílatel Support <s@acme.example> napsal:",
    "hu": "Support <s@acme.example> ezt írta (időpont: 2025. nov. 20., Cs, 10:00):",
    "tr": "Support <s@acme.example>, 20 Kas 2025 Per, 10:00 tarihinde şunu yazdı:",
    "ro": "În joi, 20 nov. 2025 la 10:00, Support <s@acme.example> a scris:",
    "zh": "在 2025年11月20日，上午10:00，Support <s@acme.example> 写道：",
    "ja": "2025年11月20日(木) 10:00 Support <s@acme.example>のメール:",
    "ko": "2025년 11월 20일 (목) 오전 10:00, Support <s@acme.example>님이 작성:",
    "gmail-old": "2025-11-20 10:00 GMT+02:00 Support <s@acme.example>:",
    "gmail-bare": "2025/11/20 Support <s@acme.example>",
    "zoho": "---- On Thu, 20 Nov 2025 10:00:00 +0100 Support<s@acme.example> wrote ----",
}


@pytest.mark.parametrize("attribution", ATTRIBUTIONS.values(), ids=ATTRIBUTIONS.keys())
def test_attribution_and_quotation_go_in_every_language(attribution: str) -> None:
    assert without_quotes(f"Thanks!\n\n{attribution}\n\n> How are you?\n> Yours\n") == "Thanks!"
    assert without_quotes(f"{attribution}\n> How are you?\n\nThanks, well.") == "Thanks, well."


@pytest.mark.parametrize(
    "history",
    [
        "-----Original Message-----\nFrom: a\n\nold",
        "-----Ursprüngliche Nachricht-----\nVon: a\nold",
        "---------- Forwarded message ---------\nold",
        "*-----Mensaje original-----*\nold",
        "Begin forwarded message:\n\nold",
        "________________________________\nFrom: A <a@b.example>\nSent: Thursday\nTo: B\nSubject: x\n\nold",
        "Von: A\nGesendet: Donnerstag\nAn: B\nBetreff: x\n\nold",
        "*De :* A <a@b.example>\n*Envoyé :* jeudi\n*À :* B <b@b.example>,\n c\n*Objet :* x\nold",
        "发件人：A\n发送时间：2025年\n收件人：B\n主题：x\nold",
        "##- Please type your reply above this line -##\nold",
        "> only\n> quoted\n\n",
        "On 20 Nov 2025, at 10:00, A <a@b.example> wrote:\n\nold without marks",
        "On 20 Nov 2025, at 10:00, A <a@b.example> wrote:\n",
    ],
)
def test_history_below_the_answer_is_cut(history: str) -> None:
    assert without_quotes(f"First line.\nSecond line.\n\n{history}") == "First line.\nSecond line."


@pytest.mark.parametrize(
    "text",
    [
        "On Monday we wrote:\nthe server crashed and nobody noticed.",
        "Hello\nOn Monday we wrote:\nthe server crashed.",
        "Hello\n\nOn 3 May I saw this\n\nand this:\n\nit failed.",
        "Hello\nFrom: my point of view\nthis is wrong.",
        "From: A\nSent: B\nTo: C\nSubject: D",
        "Hello\n----- Error log -----\nline",
        "Hello\n________________________________\nfooter",
        "Hello\n________________________________",
        "> quoted\nanswer\n> quoted again\nanswer again",
        "> quoted only",
        "-----Original Message-----\nonly this",
        "Hello\n-- \nCarol Jones\nAcme",
        "```\n# code\n####\n```",
        "2025-11-20 10:00:01 ERROR something failed:\nstack trace",
        "a@b.example is what I wrote you about",
        "  indented\n    more",
        "On " + "x" * 500 + " 2025 wrote:\nhello",
        "Hi\nOn 20 Nov 2025\n" + "y" * 500 + "\nwrote:\nhello",
        "Hi\nOn 20 Nov 2025\na\nb\nc\nd\ne\nwrote:",
        "Hi\nOn 5 x wrote:\nbla",
        "*\nHi",
        "\n \nspaces only above",
    ],
)
def test_what_the_author_wrote_stays(text: str) -> None:
    assert "".join(without_quotes(text).split()) == "".join(text.split())


def test_indentation_of_the_first_line_stays() -> None:
    assert without_quotes("\n\n    code\nmore\n\n") == "    code\nmore"


@pytest.mark.parametrize("text", ["", "\n", "   \n\n"])
def test_nothing_stays_nothing(text: str) -> None:
    assert without_quotes(text) == text


def test_an_attribution_above_an_unmarked_text_goes_and_the_text_stays() -> None:
    assert without_quotes("On 8 May 2017 17:34, A <a@b.example> wrote:\n\nthe answer") == "the answer"


def test_what_lies_behind_the_part_looked_at_follows_the_last_decision() -> None:
    tail = "x\n" * 100_000
    assert without_quotes("Hi\n" + tail) == ("Hi\n" + tail).rstrip()
    assert without_quotes("Hi\n-----Original Message-----\n" + tail) == "Hi"


def test_html_only_answers_lose_their_quotation() -> None:
    html = "<div>Thanks!</div><div>On Thu, 20 Nov 2025 at 10:00 A &lt;a@b.example&gt; wrote:</div><blockquote>old</blockquote>"
    assert parse(message("Content-Type: text/html", body=html)).text_new == "Thanks!"


@pytest.mark.parametrize(
    "text",
    [
        "On " * 100_000,
        "On 2025 \n" * 100_000,
        "From: a\n" * 100_000,
        "1\n" * 500_000,
        "-" * 390 + "\n",
        "- " * 190 + "x\n",
        "a@b wrote\n" * 50_000,
    ],
    ids=["on", "on-lines", "from", "digits", "rule", "almost-rule", "wrote"],
)
def test_the_time_is_linear(text: str) -> None:
    begun = time.process_time()
    without_quotes("Hi\n" + text * (300_000 // len(text) + 1))
    assert time.process_time() - begun < 1


def _folded(text: str) -> str:
    return " ".join(text.split())


def test_answers_of_real_clients_agree_with_what_people_cut(corpora: Path) -> None:
    """32 answers. The rest differ in signatures only, which stay here: at least 27 agree, and no text is ever lost."""
    agreed = 0
    for path in sorted((corpora / "replies" / "emails").iterdir()):
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
        wanted = _folded((corpora / "replies" / "trimmed" / path.name).read_text(encoding="utf-8"))
        found = _folded(without_quotes(text))
        assert wanted in found, path.name
        agreed += wanted == found
    assert agreed >= 27


@pytest.mark.parametrize("client", ["iphone", "sparrow"])
def test_answers_of_named_clients_are_found(corpora: Path, client: str) -> None:
    folder = corpora / "replies" / "clients"
    parsed = parse((folder / f"{client}.eml").read_bytes())
    wanted = (folder / f"{client}_reply_text").read_text(encoding="utf-8")
    assert _folded(wanted) in _folded(parsed.text_new)
    assert len(parsed.text_new) < len(parsed.text)
