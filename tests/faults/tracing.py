"""The gateway's system calls, from outside: strace attached to its threads, to read them or to let the n-th one fail.

strace counts `when=N` in every thread of its own, so who wants "the n-th call" to be one call attaches to few threads.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.servers.gateway import RunningGateway, mail, wait_until

HOW_TO_GET_IT = "strace, and the right to attach it to other processes (Debian: apt-get install strace, run as root)"


def why_not() -> str:
    """Empty when system calls can be traced here."""
    if not sys.platform.startswith("linux") or shutil.which("strace") is None:
        return HOW_TO_GET_IT
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        with Trace([sleeper.pid], ["read"], Path("/dev/null")):
            return ""
    except AssertionError:
        return HOW_TO_GET_IT
    finally:
        sleeper.kill()
        sleeper.wait()


class Trace:
    """strace attached to `threads` while the block runs. `fail`: the error of the n-th call, as `EIO:when=3`."""

    def __init__(
        self,
        threads: Sequence[int],
        calls: Sequence[str],
        output: Path,
        *,
        fail: str = "",
        whole: bool = False,
        shown_octets: int = 24,
    ) -> None:
        """`whole`: with every other thread of the same process, and those that it starts. `shown_octets` of what is read and
        written stand in a line.
        """
        self._threads = threads
        self.output = output
        named = ",".join(calls)
        self._command = [
            "strace",
            "-y",
            "-s",
            str(shown_octets),
            "-o",
            str(output),
            "-e",
            f"trace={named}",
            "-e",
            "signal=none",
        ]
        self._command += ["-e", f"inject={named}:error={fail}"] if fail else []
        self._command += ["-f"] if whole else []
        for thread in threads:
            self._command += ["-p", str(thread)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            wait_until(self._holds_all, "strace is attached")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        """Detach; the traced process goes on. Not in the middle of a call that is being failed: it would see ENOSYS."""
        assert self._process
        with contextlib.suppress(AssertionError):
            wait_until(self._rest, "the threads wait for work", 15)
        assert self._process.stderr
        self._process.terminate()
        self._process.wait(30)
        self._process.stderr.close()

    def _holds_all(self) -> bool:
        assert self._process
        assert self._process.poll() is None, "strace could not attach"
        ours = f"TracerPid:\t{self._process.pid}\n"
        return all(ours in _status(thread) for thread in self._threads)

    def _rest(self) -> bool:
        """Each sleeps in some call: one that is being failed never does."""
        return all("\nState:\tS" in _status(thread) for thread in self._threads)

    @property
    def lines(self) -> list[str]:
        """After the block: a line a call; unfinished ones are joined with their end."""
        return list(_joined(self.output.read_text(errors="replace").splitlines()))

    @property
    def injected(self) -> int:
        """How many calls were made to fail."""
        return self.output.read_text(errors="replace").count("(INJECTED)")


def _status(thread: int) -> str:
    """Of a thread that is gone: AssertionError."""
    try:
        return Path(f"/proc/{thread}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise AssertionError(f"thread {thread} has ended") from None


def _joined(lines: Sequence[str]) -> Iterator[str]:
    """A call stands where it returned: `fsync(5 <unfinished ...>` is joined with `<... fsync resumed>) = 0`."""
    begun: dict[str, str] = {}
    for line in lines:
        thread = line.split(maxsplit=1)[0]
        if line.endswith("<unfinished ...>"):
            begun[thread] = line.removesuffix("<unfinished ...>").rstrip()
        elif found := re.search(r"<\.\.\. \w+ resumed>", line):
            yield begun.pop(thread, thread) + line[found.end() :]
        else:
            yield line


@dataclass(frozen=True)
class SmtpWorker:
    """The process that talks SMTP: its event loop, its committer, and its pool threads."""

    pid: int
    committer: int

    @property
    def threads(self) -> list[int]:
        return sorted(int(p.name) for p in Path(f"/proc/{self.pid}/task").iterdir())

    def of(self, scope: str) -> list[int]:
        """`loop`, `committer` or `pools`: between them every thread, each in one."""
        if scope == "pools":
            return [t for t in self.threads if t not in (self.pid, self.committer)]
        return [self.pid if scope == "loop" else self.committer]

    @property
    def lives(self) -> bool:
        return Path(f"/proc/{self.pid}/task/{self.committer}").exists()


SCOPES = ("loop", "committer", "pools")


def smtp_worker_pids(gateway: RunningGateway) -> list[int]:
    """The supervisor's children whose roles hold SMTP."""
    return [pid for pid in worker_pids(gateway) if "smtp" in _roles(pid)]


def worker_pids(gateway: RunningGateway) -> list[int]:
    """All children of the supervisor."""
    assert gateway.process
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


def _roles(pid: int) -> list[str]:
    """A worker's last argument says what it does; nothing while it is between fork and exec, or gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError, KeyError, TypeError):
        last = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")[-1]
        return list(json.loads(last)["roles"])
    return []


def smtp_worker(gateway: RunningGateway, output: Path) -> SmtpWorker:
    """The only one, on a gateway that is ready. A message goes through it, to see which thread commits."""
    wait_until(gateway.ready, "ready", 120)
    [pid] = wait_until(lambda: smtp_worker_pids(gateway), "a worker runs")
    name = f"who commits in {pid} {output.name}"
    with Trace([pid], ["pwrite64", "fdatasync", "sendto"], output, whole=True, shown_octets=40_000) as trace:
        assert gateway.send(mail(name)).code == 250
    return SmtpWorker(pid, _writer_of(name, trace.lines))


def _writer_of(name: str, lines: Sequence[str]) -> int:
    """The thread that wrote the message and committed. Those of jobs and of the outbox commit too, and may be the last."""
    committed = {line.split()[0] for line in lines if "fdatasync" in line or "COMMIT" in line}
    wrote = [line.split()[0] for line in lines if name in line]
    return next(int(thread) for thread in wrote if thread in committed)
