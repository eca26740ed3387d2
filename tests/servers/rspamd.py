"""A real rspamd for tests: one process on a loopback port, no modules, no redis, no DNS; ready in about a second."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.servers.ports import free_port

GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
"""What every spam filter calls spam (spamassassin.apache.org/gtube)."""

# its list of public suffixes takes seconds to compile: a few do
CONFIG = """
options {{
    pidfile = "{directory}/rspamd.pid";
    cache_file = "{directory}/symbols.cache";
    tempdir = "{directory}";
    hs_cache_dir = "{directory}";
    url_tld = "{directory}/suffixes";
    control_socket = "{directory}/control.sock mode=0600";
    filters = "";
    dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }}
}}
logging {{ type = "file"; filename = "{directory}/rspamd.log"; level = "info"; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
lua = "{directory}/rules.lua";
group "test" {{
    symbols {{ "SUBJECT_SAYS_LOTTERY" {{ weight = 7.5; }} "TOLD" {{ weight = 0.1; }} }}
}}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; {password} }}
"""

# what it was told of the transaction comes back in a symbol's name
RULES = """
rspamd_config.SUBJECT_SAYS_LOTTERY = {
  callback = function(task) return (task:get_subject() or ''):find('lottery') ~= nil end, score = 7.5
}
rspamd_config.TOLD = {
  callback = function(task)
    local from, rcpt = task:get_from('smtp'), task:get_recipients('smtp')
    local told = string.format('ip=%s helo=%s host=%s from=%s rcpt=%s queue=%s', tostring(task:get_ip()),
      tostring(task:get_helo()), tostring(task:get_hostname()), from and from[1].addr or 'none',
      rcpt and #rcpt or 0, tostring(task:get_queue_id()))
    local f = io.open('{directory}/told', 'w')
    f:write(told)
    f:close()
    return true
  end,
  score = 0.1
}
"""


def program() -> str | None:
    return shutil.which("rspamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/bin")


class RspamdServer:
    """Start, stop, freeze and thaw an rspamd of one's own; `url` answers."""

    def __init__(self, *, password: str = "") -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rspamd-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        wanted = f'password = "{password}";' if password else ""
        config = CONFIG.format(directory=self.directory, port=self.port, password=wanted)
        (self.directory / "rspamd.conf").write_text(config)
        (self.directory / "rules.lua").write_text(RULES.replace("{directory}", str(self.directory)))
        (self.directory / "suffixes").write_text("com\norg\nexample\ntest\n")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def told(self) -> str:
        """What the last message's transaction was said to be."""
        return (self.directory / "told").read_text()

    def start(self) -> RspamdServer:
        rspamd = program()
        assert rspamd, "rspamd is not installed"
        as_root = ["--insecure", "--user", "root", "--group", "root"] if os.geteuid() == 0 else []
        command = [rspamd, "--no-fork", *as_root, "--config", str(self.directory / "rspamd.conf")]
        with (self.directory / "out").open("ab") as out:
            # a group of its own: it has children, and to freeze it means them
            self._process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        self._await_ready()
        return self

    def pause(self) -> None:
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def remove(self) -> None:
        if self._process:
            self.resume()
            self._process.terminate()
            self._process.wait(60)
        shutil.rmtree(self.directory)

    def _signal_all(self, number: int) -> None:
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _await_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not self._answers():
            assert self._process
            try:
                self._process.wait(0.05)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
            said = (self.directory / "out").read_text()[-2000:]
            raise RuntimeError(f"rspamd did not start: {said}")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=30) as reply:
                return bool(reply.read().strip() == b"pong")
        except OSError:
            return False


def running() -> Iterator[RspamdServer]:
    """The body of a fixture: one that runs; who pauses it thaws it again."""
    if not program():
        from tests.conftest import missing

        missing("rspamd: apt-get install rspamd")
    server = RspamdServer()
    server.start()
    yield server
    server.remove()
