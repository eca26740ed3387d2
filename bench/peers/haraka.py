"""Haraka with its own spf, dkim, clamd and attachment plugins, and a queue of files that are on disk before the reply."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import ClassVar

from bench.peers.peer import SBIN, Peer, newest
from bench.places import PEERS
from bench.services import ACCOUNT, HOSTNAME, Services

HOME = PEERS / "haraka"
PACKAGE = {
    "private": True,
    "dependencies": {
        "Haraka": "3.3.4",
        "haraka-plugin-attachment": "1.2.1",
        "haraka-plugin-clamd": "1.0.6",
        "haraka-plugin-dkim": "1.3.1",
        "haraka-plugin-spf": "1.3.0",
    },
    # what libmime pins may be too new for a registry mirror; neither is in the way of a message
    "overrides": {"encoding-japanese": "2.2.0", "libqp": "2.1.1"},
}
QUEUE = """\
'use strict'
const fs = require('node:fs')
// Haraka's queue/test keeps nothing when the power goes: a server that says 250 must have the file on disk.
exports.hook_queue = function (next, connection) {
  const txn = connection?.transaction
  if (!txn) return next()
  const ws = fs.createWriteStream(`FOLDER/${txn.uuid}.eml`, { flush: true })
  ws.once('close', () => next(OK))
  ws.once('error', (error) => next(DENYSOFT, error.message))
  txn.message_stream.pipe(ws)
}
"""
PLUGINS = ("spf", "rcpt_to.in_host_list", "attachment", "dkim", "clamd", "queue_file")


class Haraka(Peer):
    name: ClassVar[str] = "haraka"
    marks: ClassVar[Mapping[str, str]] = {
        "spf": r"(?i)spf=pass", "dkim": r"dkim=pass", "broken dkim": r"dkim=fail",
    }  # fmt: skip

    @classmethod
    def missing(cls) -> list[str]:
        there = shutil.which("node") and (HOME / "node_modules" / "Haraka" / "haraka.js").exists()
        return [] if there else ["Haraka"]

    def start(self, services: Services) -> None:
        config, queue, plugins = (self.folder / name for name in ("config", "queue", "plugins"))
        for folder in (config, queue, plugins):
            folder.mkdir()
        files = {
            "smtp.ini": f"listen=127.0.0.1:{self.port}\n",
            "plugins": "\n".join(PLUGINS),
            "host_list": ACCOUNT,
            "me": HOSTNAME,
            # a file of one's own replaces Haraka's whole, and without its section [message] it cannot greet
            "connection.ini": (HOME / "node_modules/Haraka/config/connection.ini")
            .read_text()
            .replace("bytes=26214400", "bytes=52428800"),
            "clamd.ini": f"clamd_socket={services.clamd_socket}\nmax_size=52428800\n",
            "log.ini": "[main]\nlevel=notice\nformat=default\n",
        }
        for name, text in files.items():
            (config / name).write_text(text + "\n")
        (plugins / "queue_file.js").write_text(QUEUE.replace("FOLDER", str(queue)))
        (self.folder / "package.json").write_text(json.dumps({"name": "bench", "version": "1.0.0"}))
        (self.folder / "node_modules").symlink_to(HOME / "node_modules")
        node = shutil.which("node") or "node"
        self._spawn(
            [node, HOME / "node_modules" / "Haraka" / "bin" / "haraka", "-c", self.folder],
            environment={"PATH": SBIN, "NODE_ENV": "production"},
        )
        self._await_ready()

    def said(self) -> str:
        return super().said() + newest(self.folder / "queue", "*.eml", octets=8000)
