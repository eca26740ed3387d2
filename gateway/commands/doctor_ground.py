"""What every process stands on: database, secret, blobs, disk and clock."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, func, select, update

from gateway.commands.doctor_records import AccountNames
from gateway.commands.findings import Finding, failed, warned, well
from gateway.core.clock import new_id, now
from gateway.core.errors import GatewayError, StorageFull
from gateway.notify.sign import public_record
from gateway.settings import Settings
from gateway.store import listing, migrations, secret
from gateway.store.binding import OtherDomain, blob_mark, compare
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.store.tables import Account, Change, Transaction
from gateway.store.tables.columns import columns

ENOUGH_BYTES = 1 << 30
ENOUGH_SHARE = 0.05
SKEW = timedelta(seconds=5)
"""Between us and the database: leases and tokens bear minutes, but so much says that one clock is not kept."""
PROBE = "doctor"


def examine(settings: Settings) -> list[Finding]:
    """All of it, in the order things depend on each other. Blocks."""
    return [*_database(settings), _disk(settings.data_dir)]


def _database(settings: Settings) -> Iterator[Finding]:
    """With the blobs, whose folder it knows."""
    file = _missing_file(settings)
    if file:
        yield failed("database", f"there is no database at {file}; run `gateway db upgrade`")
        return
    try:
        with closing(Store(settings.database_url, settings.data_dir)) as store:
            migrations.require_current(store)
            _writes(store)
            kind = "SQLite" if store.is_sqlite else "PostgreSQL"
            yield well("database", f"{kind}, schema {migrations.HEAD}, reads and writes")
            yield _secret(store, settings)
            with store.read() as connection:
                yield _clock(connection, is_own=store.is_sqlite)
            yield _blobs(FileBlobs(settings.blob_dir, partial(blob_mark, store)), settings.blob_dir)
    except GatewayError as error:
        yield failed("database", str(error))


def _missing_file(settings: Settings) -> Path | None:
    """Opening would make an empty one: a look leaves nothing behind."""
    if not settings.database_url.startswith("sqlite:///"):
        return None
    file = Path(settings.database_url.removeprefix("sqlite:///"))
    return None if file.exists() else file


def _writes(store: Store) -> None:
    number = columns(Change).number
    with store.write() as connection:
        connection.execute(update(Change).values(number=number))


def _secret(store: Store, settings: Settings) -> Finding:
    """Opens the key of every account: a file restored from the wrong day opens some of them."""
    path = settings.secret_key_path
    try:
        keys = secret.read(path)
        compare(store, keys, settings.domain)
        for account_id in _account_ids(store):
            keys.decrypt(listing.sealed_dkim_key(store, account_id), f"dkim:{account_id}")
        mode = path.stat().st_mode & 0o077
    except OtherDomain as error:
        return failed("domain", str(error))
    except (GatewayError, OSError) as error:
        return failed("secret key", str(error))
    if mode:
        return warned("secret key", f"{path} can be read by others than its owner; run `chmod 600 {path}`")
    return well("secret key", f"{path} opens the database")


def _account_ids(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(select(columns(Account).id).order_by(columns(Account).name)).scalars())


def _clock(connection: Connection, *, is_own: bool) -> Finding:
    """Against the database's, where that is another machine's; else against the newest mail: time goes one way."""
    cure = "keep the clock with NTP (chrony, systemd-timesyncd)"
    newest: datetime | None = connection.execute(select(func.max(columns(Transaction).at))).scalar()
    if newest and newest > now() + SKEW:
        ahead = f"{newest:%Y-%m-%d %H:%M:%SZ}"
        return warned("clock", f"the newest mail came at {ahead}, which is still to come; {cure}")
    if is_own:
        return well("clock", f"{now():%Y-%m-%d %H:%M:%SZ}, later than all mail so far")
    # the columns' type reads the moment as they do; a bare now() would come back as the driver likes it
    theirs = connection.execute(select(func.now(type_=columns(Transaction).at.type))).scalar_one()
    apart = abs(theirs - now())
    if apart > SKEW:
        return warned("clock", f"{apart.total_seconds():.0f} s apart from the database's; {cure}, on both machines")
    return well("clock", f"{now():%Y-%m-%d %H:%M:%SZ}, as the database has it")


def account_names(settings: Settings) -> tuple[AccountNames, ...]:
    """What each account wants published. Empty where the database cannot tell."""
    if _missing_file(settings):
        return ()
    try:
        with closing(Store(settings.database_url, settings.data_dir)) as store:
            migrations.require_current(store)
            keys = secret.read(settings.secret_key_path)
            ids = _account_ids(store)
            return tuple(_names_of(store, keys, settings.domain, i) for i in ids)
    except GatewayError:
        return ()  # the finding on the database or the secret has said why


def _names_of(store: Store, keys: secret.Secret, gateway_domain: str, account_id: str) -> AccountNames:
    account = listing.account(store, account_id)
    pem = keys.decrypt(listing.sealed_dkim_key(store, account_id), f"dkim:{account_id}")
    domain = f"{account['name']}.{gateway_domain}"
    return AccountNames(
        account["name"], domain, f"{account['dkim_selector']}._domainkey.{domain}", public_record(pem),
        tuple(account["domains"]),
    )  # fmt: skip


def _blobs(blobs: FileBlobs, folder: Path) -> Finding:
    """Writes, reads and removes a probe."""
    name, content = new_id(), os.urandom(1024)
    try:
        blobs.put(PROBE, name, content)
        blobs.get(PROBE, name, hashlib.sha256(content).hexdigest())
        blobs.remove(PROBE, name)
        (folder / PROBE).rmdir()
    except (StorageFull, OSError) as error:
        return failed("blobs", f"{folder}: {error}; it must be a folder that this user can write")
    except GatewayError as error:
        return failed("blobs", str(error))
    return well("blobs", f"{folder} keeps and returns what is written")


def _disk(folder: Path) -> Finding:
    place = next((p for p in (folder, *folder.parents) if p.exists()), Path("/"))
    try:
        total, _, free = shutil.disk_usage(place)
        nodes = os.statvfs(place)
    except OSError as error:
        return failed("disk", f"{place}: {error.strerror}")
    left = f"{free / (1 << 30):.1f} GiB free ({100 * free / total:.0f} %) below {place}"
    if free < ENOUGH_BYTES and free < total * ENOUGH_SHARE:
        return failed("disk", f"only {left}; make room: a full disk answers all mail with 452")
    if nodes.f_files and nodes.f_favail < nodes.f_files * 0.01:
        return failed("disk", f"only {nodes.f_favail} inodes are free below {place}; remove files")
    return well("disk", left)
