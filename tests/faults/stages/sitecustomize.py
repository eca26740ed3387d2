"""Breaks the gateway at named stages, for the fault tests; production code knows nothing of it.

Python imports this module at its start when this folder is on PYTHONPATH. What is to happen stands in the variable FAULTS,
as `tests.servers.gateway` writes it. Functions are wrapped as soon as their module has been imported.
"""

import asyncio
import errno
import functools
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

PLAN = json.loads(os.environ.get("FAULTS", '{"faults": [], "tune": {}, "spent": ""}'))

# stage: (module, attribute or Class.attribute, before or after the call)
STAGES = {
    "judge-recipient": ("gateway.smtp.recipients", "Recipients.judge", "before"),
    "receive": ("gateway.intake", "Intake.take", "before"),
    "parse": ("gateway.intake", "parse_and_see", "before"),
    "verify": ("gateway.verify.verifier", "Verifier.verify", "before"),
    "scan": ("gateway.scan.runner", "ScanRunner.scan", "before"),
    "recall": ("gateway.store.recall", "Recall.__call__", "before"),
    "decide": ("gateway.intake", "decide", "before"),
    "blob-sync": ("gateway.store.blobs", "os.fsync", "before"),
    "blob-open": ("gateway.store.blobs", "os.open", "before"),
    "blob-written": ("gateway.store.blobs", "FileBlobs.put", "after"),
    "before-commit": ("gateway.store.committer", "Committer._write", "before"),
    "group": ("gateway.store.commit", "Commit.__call__", "before"),
    "in-commit": ("gateway.store.commit", "Commit.__call__", "after"),
    "after-commit": ("gateway.store.committer", "Committer._write", "after"),
    "after-render": ("gateway.store.outbox", "keep_rendered", "after"),
    "after-relay-accepted": ("gateway.outbox.routes", "deliver", "after"),
    "before-outbox-settle": ("gateway.store.outbox", "settle", "before"),
    "after-outbox-settle": ("gateway.store.outbox", "settle", "after"),
}

_counted: dict[int, int] = {}
_lock = threading.Lock()


class InjectedFault(Exception):
    """Its text must never be seen by a client."""


def reached(stage, arguments):
    """A stage is reached: do what the plan says, if anything. Returns the faults that hold it up."""
    holding = []
    for action in _due(stage, arguments):
        if action == "hold":
            (Path(PLAN["spent"]) / f"held-{stage}").touch()
            holding.append(Path(PLAN["spent"]) / f"go-{stage}")
        else:
            _happen(stage, action)
    return holding


def _due(stage, arguments):
    """The actions that this call brings about; every fault counts every call."""
    actions = []
    for number, fault in enumerate(PLAN["faults"]):
        if fault["stage"] != stage or not _concerns(fault["marker"], arguments):
            continue
        with _lock:
            _counted[number] = _counted.get(number, 0) + 1
            if _counted[number] >= fault["after"] and _spend(number, fault["times"]):
                actions.append(fault["action"])
    return actions


def _concerns(marker, arguments):
    """Whether the content or subject of what a stage was given holds the marker."""
    if not marker:
        return True
    for argument in arguments:
        if isinstance(argument, (list, tuple)) and _concerns(marker, argument):
            return True
        envelope = getattr(argument, "envelope", argument)
        content = getattr(envelope, "content", argument)
        message = getattr(argument, "message", argument)
        if isinstance(content, bytes) and marker.encode() in content:
            return True
        if marker in str(getattr(message, "subject", "")):
            return True
    return False


def _spend(number, times):
    """False when it has happened often enough, in this process or in one before it."""
    if not times:
        return True
    for turn in range(times):
        try:
            os.close(os.open(Path(PLAN["spent"]) / f"{number}-{turn}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        return True
    return False


def _happen(stage, action):
    if action == "kill-group":
        # only ever our own: the supervisor leads the group, and we are it or its child
        if os.getpgrp() in (os.getpid(), os.getppid()):
            os.killpg(os.getpgrp(), signal.SIGKILL)
    elif action == "kill-worker":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "raise":
        raise InjectedFault(f"secret internals of {stage}")
    else:
        number = getattr(errno, action)
        raise OSError(number, os.strerror(number))


def _wrapped(stage, when, function):
    if asyncio.iscoroutinefunction(function):
        return _wrapped_async(stage, when, function)

    @functools.wraps(function)
    def around(*arguments, **options):
        if when == "before":
            _wait(reached(stage, arguments))
        result = function(*arguments, **options)
        if when == "after":
            _wait(reached(stage, arguments))
        return result

    return around


def _wrapped_async(stage, when, function):
    @functools.wraps(function)
    async def around(*arguments, **options):
        if when == "before":
            await _wait_async(reached(stage, arguments))
        result = await function(*arguments, **options)
        if when == "after":
            await _wait_async(reached(stage, arguments))
        return result

    return around


def _wait(files):
    while not all(f.exists() for f in files):
        time.sleep(0.01)


async def _wait_async(files):
    if files:
        await asyncio.to_thread(_wait, files)


class _OwnOs:
    """The module `os` as one other module sees it: what is replaced here stays as it is for the rest of the process."""

    def __getattr__(self, name):
        return getattr(os, name)


def _break(module):
    for stage in {fault["stage"] for fault in PLAN["faults"]}:
        where, path, when = STAGES[stage]
        if module.__name__ != where:
            continue
        *holders, name = path.split(".")
        if holders == ["os"]:
            module.os = _OwnOs()
        holder = module
        for part in holders:
            holder = getattr(holder, part)
        setattr(holder, name, _wrapped(stage, when, getattr(holder, name)))


def _tune(module):
    tune = PLAN["tune"]
    if module.__name__ == "gateway.outbox.worker" and "attempt_seconds" in tune:
        seconds = tune["attempt_seconds"]
        module.OutboxWorker.__init__.__kwdefaults__.update(before_seconds=seconds, after_seconds=seconds)
    if module.__name__ == "gateway.outbox.schedule" and "retry_seconds" in tune:
        module._DELAYS, module._THEN = (), timedelta(seconds=tune["retry_seconds"])
        module._UNREACHED = module._THEN
    if module.__name__ == "gateway.store.outbox" and "lease_seconds" in tune:
        module.LEASE = timedelta(seconds=tune["lease_seconds"])
    if module.__name__ == "gateway.smtp.pace" and "idle_seconds" in tune:
        module.IDLE_SECONDS = tune["idle_seconds"]
    if module.__name__ == "gateway.smtp.pace" and "stopping_seconds" in tune:
        module.STOPPING_SECONDS = tune["stopping_seconds"]


class _Loader(importlib.abc.Loader):
    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        _break(module)
        _tune(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the gateway's modules as the other finders do, and breaks them when they have been imported."""

    _ours = {where for where, _, _ in STAGES.values()} | {
        "gateway.outbox.schedule",
        "gateway.outbox.worker",
        "gateway.smtp.pace",
    }

    def find_spec(self, name, path, target=None):
        if name not in self._ours:
            return None
        for finder in sys.meta_path:
            if finder is self or not (spec := finder.find_spec(name, path, target)):
                continue
            if spec.loader:
                spec.loader = _Loader(spec.loader)
            return spec
        return None


if PLAN["faults"] or PLAN["tune"]:
    sys.meta_path.insert(0, _Finder())
