"""A new configuration: looked at by a process of its own, then given to one worker after the other.

A bad one changes nothing, and one under which the first worker does not come up is taken back: the last good one stays,
also for workers that die and are started again. So workers get it from here, and never read the file themselves.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.core.errors import InvalidInput
from gateway.supervisor.slots import Slot, hangup_kept
from gateway.supervisor.unnamed import content_of, unnamed_file

CHECK_SECONDS: Final = 30.0
FIXED: Final = (
    "data_dir",
    "database_url",
    "blob_url",
    "secret_key_file",
    "domain",
    "smtp.listen",
    "smtp.workers",
    "http.listen",
)
"""What sockets, locks, workers, accounts' addresses and whatever lies on disk were made from: only a restart changes these."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the look came to: the configuration that holds from now on, or the reason why none is new."""

    configuration: bytes | None = None
    kept: tuple[str, ...] = ()
    """Keys that changed and stay what they were until a restart."""
    reason: str = ""


class Check:
    """`gateway check-config`, running. Time it may take: CHECK_SECONDS."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path, current: bytes) -> None:
        """It reads the `current` configuration on its standard input. Raises OSError when it cannot be started."""
        self._out, self._err = unnamed_file(folder), unnamed_file(folder)
        try:
            self._process = _started(command, environment, unnamed_file(folder, current), self._out, self._err)
        except OSError:
            self._close()
            raise
        self._end = time.monotonic() + CHECK_SECONDS

    def verdict(self, current: bytes) -> Verdict | None:
        """None while it runs; once only afterwards."""
        code = self._process.poll()
        if code is None and time.monotonic() < self._end:
            return None
        if code is None:
            self.kill()
            return Verdict(reason=f"its check did not end within {CHECK_SECONDS:g} s")
        out, err = content_of(self._out), content_of(self._err)
        self._close()
        if code:
            return Verdict(reason=err.decode("utf-8", "replace").strip()[-2000:] or f"its check ended with {code}")
        return taken(out, current)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        os.close(self._out)
        os.close(self._err)


def _started(
    command: Sequence[str], environment: Mapping[str, str], read: int, out: int, err: int
) -> subprocess.Popen[bytes]:
    """`read` is closed here. Raises OSError."""
    try:
        os.lseek(read, 0, os.SEEK_SET)
        with hangup_kept():
            return subprocess.Popen(command, stdin=read, stdout=out, stderr=err, env=dict(environment))
    finally:
        os.close(read)


def taken(checked: bytes, current: bytes) -> Verdict:
    """The new configuration, with those keys as they are that only a restart changes."""
    try:
        new, old = json.loads(checked)["settings"], json.loads(current)
        kept = tuple(key for key in FIXED if _value(new, key) != _value(old, key))
        for key in kept:
            _set(new, key, _value(old, key))
    except (ValueError, KeyError, TypeError) as error:
        return Verdict(reason=f"its check said what cannot be read: {error!r}")
    # the same octets where nothing changed: else a worker that fails for its surroundings would be its configuration's fault
    return Verdict(current if new == old else json.dumps(new).encode(), kept)


def _value(document: Mapping[str, Any], key: str) -> Any:
    section, _, name = key.rpartition(".")
    return (document[section] if section else document)[name]


def _set(document: dict[str, Any], key: str, value: Any) -> None:
    section, _, name = key.rpartition(".")
    (document[section] if section else document)[name] = value


class Reload:
    """What SIGHUP begins: check, then replace the workers one by one."""

    def __init__(
        self,
        configuration: bytes,
        command: Sequence[str],
        folder: Path,
        say: Callable[[str], None],
        prepare: Callable[[], None],
    ) -> None:
        """`command` prints the new configuration; an empty one means that it never changes. `prepare`: what must hold before a
        worker is replaced; it raises InvalidInput.
        """
        self.configuration = configuration
        """What the next worker starts with."""
        self.asked = False
        self.begun = 0
        """How many there were."""
        self.note = ""
        """For the status: what came of the last one, when it was not all that was wanted."""
        self._good = configuration
        self._command = tuple(command)
        self._folder = folder
        self._say = say
        self._prepare = prepare
        self._check: Check | None = None
        self._verdict: Verdict | None = None
        self._to_replace: list[Slot] | None = None

    @property
    def is_checking(self) -> bool:
        return self._check is not None

    @property
    def is_under_way(self) -> bool:
        return self.asked or any(x is not None for x in (self._check, self._verdict, self._to_replace))

    def go_on(self, slots: Sequence[Slot]) -> None:
        """One step, where one can be made."""
        if self.asked:
            self._begin()
            return
        if self._check:
            self._verdict = self._check.verdict(self.configuration)
            self._check = None if self._verdict else self._check
        if self._verdict:
            verdict, self._verdict = self._verdict, None
            self._take(verdict, slots)
        self._replace_next(slots)

    def _begin(self) -> None:
        """Also in the middle of another: the file may have changed since that was read."""
        self.asked, self.begun = False, self.begun + 1
        self.close()
        if not self._command:
            self._verdict = Verdict(self.configuration)
            return
        try:
            self._check = Check(self._command, os.environ, self._folder, self.configuration)
        except OSError as error:
            self._verdict = Verdict(reason=f"its check cannot be started: {error.strerror}")

    def _take(self, verdict: Verdict, slots: Sequence[Slot]) -> None:
        if verdict.configuration is None:
            self._refuse(verdict.reason)
            return
        try:
            self._prepare()
        except InvalidInput as error:
            self._refuse(str(error))
            return
        self.note = ""
        if verdict.kept:
            names = ", ".join(verdict.kept)
            self._say(f"{names}: needs a restart; a reload cannot change this, so it stays as it was")
            self.note = f"; needs a restart: {names}"
        self.configuration = verdict.configuration
        self._to_replace = list(slots)

    def _refuse(self, reason: str) -> None:
        self._say(f"the new configuration is not taken, the last good one stays: {reason}")
        self.note = f"; new configuration not taken: {reason}"

    def _replace_next(self, slots: Sequence[Slot]) -> None:
        """The next worker is asked to end when all others serve: the sockets stay open, so nobody is refused."""
        if self._to_replace is None or not all(s.serves and s.alive and not s.ending for s in slots):
            return
        if self._to_replace:
            self._to_replace.pop(0).end()
            return
        self._to_replace = None
        self._say(f"reloaded: {len(slots)} worker{'s' * (len(slots) > 1)} replaced")

    def serves(self, slot: Slot) -> None:
        """A worker says that it serves: its configuration is a good one."""
        self._good = slot.configuration

    def died(self, slot: Slot, how: str) -> None:
        """A worker ended by itself; when it never served, its configuration may be why."""
        if self._to_replace is None or slot.serves or slot.configuration == self._good:
            return
        self.configuration, self._to_replace = self._good, None
        slot.start_at = 0.0
        self._refuse(f"the first worker with it did not come up ({how}), and said why")

    def close(self) -> None:
        if self._check:
            self._check.kill()
            self._check = None
