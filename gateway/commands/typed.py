"""What people type: languages, names, domains and addresses are checked here, with the cure named."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email

from gateway.core.addresses import BadAddress, canonical, normal_domain, parse_addr_spec
from gateway.core.errors import InvalidInput
from gateway.settings import Settings

_PREFIX = re.compile(r"[\w#/.-]{0,16}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_JOINERS = "\u200c\u200d"
"""Persian and Indian names are spelt with them."""
MOST_SEALERS = 20
MOST_ADMINS = 20
MOST_QUARANTINE_DAYS = 3650
MOST_NAME = 120
MOST_TAG = 100


def own_domains(texts: Iterable[str], settings: Settings) -> list[str]:
    """Each once, however it was written. Raises InvalidInput."""
    return list(dict.fromkeys(own_domain(text, settings) for text in texts))


def own_domain(text: str, settings: Settings) -> str:
    """A domain that an account may receive for. Raises InvalidInput."""
    try:
        domain = normal_domain(text)
    except BadAddress as error:
        raise InvalidInput(f"--domain {text!r}: {error}; write for example mail.acme.example") from None
    if "." not in domain or domain.startswith("["):
        raise InvalidInput(f"--domain {text!r}: a whole domain name is needed, for example mail.acme.example")
    if domain.rpartition(".")[2].isdigit():  # RFC 3696 section 2: no top-level domain is all digits
        raise InvalidInput(
            f"--domain {text!r}: that is an IP address; a domain name is needed, for example mail.acme.example"
        )
    if domain == settings.domain or domain.endswith(f".{settings.domain}") or domain == settings.hostname:
        raise InvalidInput(f"--domain {domain}: names at or below {settings.domain} are the gateway's own")
    return domain


def check_language(language: str) -> None:
    if not _LANGUAGE.fullmatch(language):
        raise InvalidInput(f"{language!r} is no language tag; write for example en, de or pt-BR")


def language_or_none(language: str | None) -> str | None:
    """Of one who may do without: an empty tag is none. Raises InvalidInput."""
    if language:
        check_language(language)
    return language or None


def check_timezone(timezone: str) -> None:
    if timezone not in available_timezones():
        raise InvalidInput(f"{timezone!r} is no time zone; write for example Europe/Berlin or UTC")


def arc_sealers(text: str) -> list[str]:
    """The domains of a list with commas, in A-labels; empty for none. Raises InvalidInput."""
    names = list(dict.fromkeys(_sealer(name) for name in re.split(r"[,\s]+", text.strip(", \t")) if name))
    if len(names) > MOST_SEALERS:
        raise InvalidInput(
            f"--arc-sealers: {len(names)} domains; at most {MOST_SEALERS}: each of them is trusted blindly"
        )
    return names


def _sealer(text: str) -> str:
    cure = "write the d= of the ARC-Seal, for example google.com"
    try:
        name = normal_domain(text)
    except BadAddress as error:
        raise InvalidInput(f"--arc-sealers {text!r}: {error}; {cure}") from None
    if "." not in name or name.startswith("["):
        raise InvalidInput(f"--arc-sealers {text!r}: a whole domain name is needed; {cure}")
    return name


def admins(text: str, settings: Settings) -> list[str]:
    """The addresses of a list with commas; empty for none. Raises InvalidInput."""
    found = {canonical(a): a for a in map(typed_address, filter(None, map(str.strip, text.split(","))))}
    if len(found) > MOST_ADMINS:
        raise InvalidInput(f"--admins: {len(found)} addresses; at most {MOST_ADMINS}: make a list of them elsewhere")
    for address in found.values():
        domain = parse_addr_spec(address).domain
        if domain == settings.domain or domain.endswith(f".{settings.domain}"):
            # a digest to it would open a ticket here
            raise InvalidInput(
                f"--admins {address}: admins read their mail elsewhere; addresses at {domain} are the gateway's own"
            )
    return list(found.values())


def check_quarantine_days(days: int) -> None:
    if not 1 <= days <= MOST_QUARANTINE_DAYS:
        raise InvalidInput(f"--quarantine-days {days}: 1 to {MOST_QUARANTINE_DAYS} days")


def check_number_prefix(prefix: str) -> None:
    """It stands in subjects and is read over the telephone."""
    if not _PREFIX.fullmatch(prefix):
        raise InvalidInput(f"--number-prefix {prefix!r}: at most 16 letters, digits and # - / . _, for example ACME-")


def check_name(name: str, option: str = "--name") -> None:
    """It stands in From and in the text of mails."""
    if not name.strip():
        raise InvalidInput(f'{option}: a name is needed; write for example {option} "Acme Support"')
    check_line(name, option, MOST_NAME)


def check_line(text: str, option: str, most: int) -> None:
    """Nothing in it that ends a line or that a terminal would obey; blanks of any script are."""
    if len(text) > most or not all(map(_is_shown, text)):
        raise InvalidInput(f"{option}: one line of text, at most {most} characters")


def _is_shown(letter: str) -> bool:
    return letter.isprintable() or letter in _JOINERS or unicodedata.category(letter) == "Zs"


def checked_name(name: str) -> str:
    """Without blanks around it. Raises InvalidInput."""
    check_name(name)
    return name.strip()


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Raises InvalidInput."""
    checked = tuple(dict.fromkeys(tag.strip() for tag in tags))
    for tag in checked:
        if not tag:
            raise InvalidInput("--tag: a tag has a name; write for example --tag vip")
        check_line(tag, "--tag", MOST_TAG)
    return checked


def check_company_name(name: str) -> None:
    check_name(name, "--company-name")


def typed_address(text: str) -> str:
    """An address as an admin typed it: syntax by email-validator where it can judge, else by our own grammar.

    email-validator refuses special-use domains (.test, .local) and deliverability is nobody's question here.
    Raises InvalidInput.
    """
    try:
        spec = parse_addr_spec(text.strip())
    except BadAddress as error:
        raise InvalidInput(f"{text!r} is no mail address: {error}; write for example support@acme.example") from None
    if spec.domain.startswith("[") or "." not in spec.domain:
        raise InvalidInput(f"{text!r}: a mail address needs a whole domain, for example support@acme.example")
    try:
        validate_email(str(spec), check_deliverability=False, test_environment=True, allow_quoted_local=True)
    except EmailNotValidError as error:
        if "special-use" not in str(error):
            raise InvalidInput(f"{text!r} is no mail address: {error}") from None
    return str(spec)
