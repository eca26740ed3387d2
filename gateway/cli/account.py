"""`account`: the companies served here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.completion import account_names
from gateway.cli.desk import AccountDesk, at_account, at_desk
from gateway.cli.options import AsJson, Language, not_available

app = typer.Typer(no_args_is_help=True, help="Accounts: the companies served here.")

NewName = Annotated[str, typer.Argument(metavar="NAME", help="The account: a DNS label.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The account.", autocompletion=account_names)]


@app.command()
def add(
    ctx: typer.Context,
    name: NewName,
    domain: Annotated[
        list[str] | None, typer.Option("--domain", metavar="OWN.DOMAIN", help="A domain whose MX is this gateway.")
    ] = None,
    company_name: Annotated[str, typer.Option("--company-name", metavar="TEXT")] = "",
    listen_only: Annotated[
        bool, typer.Option("--listen-only", help="Receive and decide, but send nothing until `account live`.")
    ] = False,
    first_number: Annotated[int, typer.Option("--first-number", metavar="N", help="The first ticket's number.")] = 1,
    number_prefix: Annotated[str, typer.Option("--number-prefix", metavar="P", help="Put before numbers.")] = "",
    language: Language = None,
    timezone: Annotated[str, typer.Option("--timezone", metavar="ZONE", help="Such as Europe/Berlin.")] = "UTC",
    as_json: AsJson = False,
) -> None:
    """Add an account, with the team `support` and a default mailbox."""
    from gateway.commands.accounts import add_account
    from gateway.store import secret
    from gateway.store.changes import NewAccount

    new = NewAccount(
        "", name, company_name, "", b"", "", domains=tuple(domain or ()), listen_only=listen_only,
        first_number=first_number, number_prefix=number_prefix, language="en" if language is None else language, timezone=timezone,
    )  # fmt: skip
    with at_desk(ctx) as desk:
        keys = secret.read(desk.settings.secret_key_path)
        record = add_account(desk.store, keys, desk.settings, new)
    with at_account(ctx, name) as there:
        shown = _shown(there)
    if as_json:
        show.document(shown)
        return
    show.page(_next_steps(shown, record.name, record.value))


def _next_steps(account: dict[str, Any], record: str, value: str) -> list[show.Line]:
    name, inbound = account["name"], account["address"]
    lines = [
        show.heading(f"Account {name} is there."),
        show.field("receives at", show.Words(inbound, "cyan"), " and at any other local part there"),
        show.field("DNS", f"publish this TXT record, so that its mail is signed: {record}"),
        show.field("", show.Words(value, "dim")),
        show.field("", f"and beside it the MX and SPF of {inbound.partition('@')[2]}: a name with a record below it"),
        show.field("", "is not answered by the wildcard any more (RFC 4592); `gateway doctor` looks after all of them"),
        show.field("next", f'gateway mailbox add support@your.domain --account {name} --name "Your Support"'),
        show.field("", "then let your mail server forward that address to the one `mailbox add` names"),
        show.field("", f"gateway agent add you@your.domain --account {name} --name You --team support"),
    ]
    if account["listen_only"]:
        lines.append(show.field("listen-only", f"nothing is sent until: gateway account live {name}"))
    return lines


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """All accounts."""
    from gateway.store import listing

    with at_desk(ctx) as desk:
        found = [a | {"domain": f"{a['name']}.{desk.settings.domain}"} for a in listing.accounts(desk.store)]
    if as_json:
        show.document(found)
        return
    rows = [
        (a["name"], a["company_name"], a["domain"], ", ".join(a["domains"]), a["policy_version"], _mode(a))
        for a in found
    ]
    columns = ("account", "company", "receives at", "own domains", "policy", "mode")
    show.table(columns, rows, empty="There are no accounts; add one with `gateway account add NAME`.")


def _mode(account: dict[str, Any]) -> show.Words:
    return show.Words("listen-only", "yellow") if account["listen_only"] else show.Words("live", "green")


@app.command("show")
def show_(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """One account, with the DKIM record it wants published."""
    with at_account(ctx, name) as desk:
        found = _shown(desk)
    if as_json:
        show.document(found)
        return
    show.page(
        [
            show.heading(f"{found['company_name']} ({found['name']})", show.Words("  "), _mode(found)),
            show.field("receives at", f"*@{found['domain']}"),
            *(show.field("own domain", d) for d in found["domains"]),
            show.field("language", found["language"]),
            show.field("time zone", found["timezone"]),
            show.field("next ticket", f"{found['number_prefix']}{found['next_number']}"),
            show.field("policy", f"version {found['policy_version']}"),
            *([show.field("ARC sealers", ", ".join(found["arc_sealers"]))] if found["arc_sealers"] else []),
            show.field("quarantine", f"expires after {found['quarantine_days']} days"),
            show.field(
                "admins", ", ".join(found["admins"]) or "none: nobody gets the daily digest of what is held back"
            ),
            show.field("added", show.moment(found["created_at"])),
            show.field("DKIM record", found["dkim"]["name"]),
            show.field("", show.Words(found["dkim"]["value"], "dim")),
        ]
    )


def _shown(desk: AccountDesk) -> dict[str, Any]:
    from gateway.notify.sign import public_record
    from gateway.store import listing, secret

    found = listing.account(desk.store, desk.account_id)
    keys = secret.read(desk.settings.secret_key_path)
    pem = keys.decrypt(listing.sealed_dkim_key(desk.store, desk.account_id), f"dkim:{desk.account_id}")
    domain = f"{desk.account}.{desk.settings.domain}"
    record = {"name": f"{found['dkim_selector']}._domainkey.{domain}", "type": "TXT", "value": public_record(pem)}
    return found | {"domain": domain, "address": f"support@{domain}", "dkim": record}


@app.command()
def live(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """End listen-only: from now on notifications leave; those withheld so far are dropped."""
    from gateway.store.changes import go_live

    with at_account(ctx, name) as desk:
        dropped = go_live(desk.store, desk.account_id)
    if as_json:
        show.document({"name": name, "listen_only": False, "dropped": dropped})
    else:
        show.say(f"Account {name} is live; {dropped} withheld notifications were dropped.")


@app.command()
def edit(
    ctx: typer.Context,
    name: Name,
    company_name: Annotated[str | None, typer.Option("--company-name", metavar="TEXT")] = None,
    timezone: Annotated[str | None, typer.Option("--timezone", metavar="ZONE")] = None,
    language: Language = None,
    number_prefix: Annotated[
        str | None, typer.Option("--number-prefix", metavar="P", help="Put before numbers.")
    ] = None,
    domain: Annotated[
        list[str] | None, typer.Option("--domain", metavar="OWN.DOMAIN", help="One more whose MX is this gateway.")
    ] = None,
    no_domain: Annotated[
        list[str] | None, typer.Option("--no-domain", metavar="OWN.DOMAIN", help="Received here no more.")
    ] = None,
    relay: Annotated[str | None, typer.Option("--relay", metavar="URL", hidden=True)] = None,
    arc_sealers: Annotated[
        str | None,
        typer.Option(
            "--arc-sealers",
            metavar="DOMAINS",
            help="Trusted behind a known forwarder, beside auth.trusted_arc_sealers; with commas, '' for none.",
        ),
    ] = None,
    quarantine_days: Annotated[
        int | None, typer.Option("--quarantine-days", metavar="N", help="After these, quarantined mail expires.")
    ] = None,
    admins: Annotated[
        str | None,
        typer.Option(
            "--admins", metavar="ADDRESSES", help="Get the daily digest of what is held back; with commas, '' for none."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change an account."""
    from gateway.commands import typed
    from gateway.store.changes import edit_account

    if relay is not None:
        raise not_available("--relay", "set relay.url in the configuration, for all accounts")
    sealers = None if arc_sealers is None else typed.arc_sealers(arc_sealers)
    given = {
        "company_name": company_name, "timezone": timezone, "language": language, "number_prefix": number_prefix,
        "arc_sealers": sealers, "quarantine_days": quarantine_days,
    }  # fmt: skip
    values = {k: v for k, v in given.items() if v is not None}
    if not values and admins is None and not domain and not no_domain:
        raise typer.BadParameter(f"say what to change: {_EDITABLE}", ctx=ctx)
    _check(values)
    with at_account(ctx, name) as desk:
        if admins is not None:
            values["admins"] = typed.admins(admins, desk.settings)
        more, gone = (typed.own_domains(given or (), desk.settings) for given in (domain, no_domain))
        edit_account(desk.store, desk.account_id, values, domains=more, no_domains=gone)
        found = _shown(desk)
    if as_json:
        show.document(found)
    else:
        changed = [k.replace("_", " ") for k in values] + ["domains"] * bool(more or gone)
        show.say(f"Account {name}: changed {', '.join(changed)}.")


_EDITABLE = (
    "--company-name, --timezone, --language, --number-prefix, --domain, --no-domain, --arc-sealers, --quarantine-days "
    "or --admins"
)


def _check(values: Mapping[str, Any]) -> None:
    """Raises InvalidInput for what an account cannot have."""
    from gateway.commands import typed

    checks: dict[str, Callable[[Any], None]] = {
        "company_name": typed.check_company_name, "timezone": typed.check_timezone,
        "language": typed.check_language, "number_prefix": typed.check_number_prefix,
        "quarantine_days": typed.check_quarantine_days,
    }  # fmt: skip
    for key in values.keys() & checks.keys():
        checks[key](values[key])


@app.command()
def remove(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Remove an account that never kept a message, with its mailboxes, teams, agents, policies and keys."""
    from gateway.store.removal import remove_account

    with at_account(ctx, name) as desk:
        remove_account(desk.store, desk.account_id, desk.account)
    if as_json:
        show.document({"name": name, "removed": True})
    else:
        show.say(f"Account {name} is removed.")
