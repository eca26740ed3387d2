"""What a command that sends a message along the line needs of it; `app.Line` is one."""

from __future__ import annotations

from typing import Protocol

from gateway.intake import Intake
from gateway.offload import Offload
from gateway.store.begun import BegunMarks
from gateway.store.blobs import FileBlobs
from gateway.store.directory import Directory
from gateway.store.engine import Store


class OpenLine(Protocol):
    """The intake with what it stands on, in a running event loop."""

    @property
    def intake(self) -> Intake: ...
    @property
    def store(self) -> Store: ...
    @property
    def blobs(self) -> FileBlobs: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def begun(self) -> BegunMarks: ...
    @property
    def store_pool(self) -> Offload: ...
