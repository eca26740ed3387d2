"""The JSON that requests bring: what is asked for. A field that is not known is a mistake."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gateway.core.note import LONGEST_NOTE, NO_CONTROLS

MOST_RAW_BYTES = 2 * 1024 * 1024

Line = Annotated[str, Field(max_length=LONGEST_NOTE, pattern=NO_CONTROLS)]
Text = Annotated[str, Field(description="The YAML document, at most 256 KiB.")]
Note = Annotated[Line, Field(description="Why, for the list of versions.")]
Yes = Annotated[
    bool,
    Field(description="Publish even where mail that was ticketed would not be any more, or rules of teams be lost."),
]


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PolicyText(Order):
    text: Text


class PolicyToPublish(PolicyText):
    note: Note = ""
    yes: Yes = False
    at: Annotated[
        Line | None,
        Field(description="Publish it then: a time of RFC 3339, or `2026-12-01 08:00` in the account's time zone."),
    ] = None
    team: Annotated[Line | None, Field(description="`text` holds `rules:` alone: those of this team.")] = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.at is not None and self.team is not None:
            raise ValueError("a team's rules are published at once: leave `at` or `team` away")
        return self


class PolicyToReplay(PolicyText):
    since: Annotated[
        Line | None, Field(description="Mail since: `12h`, `30d`, or a time of RFC 3339. Else the last 30 days.")
    ] = None


class PolicyToShadow(PolicyText):
    note: Note = ""


class ShadowToPublish(Order):
    note: Note = ""
    yes: Yes = False


class VersionToRestore(Order):
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    yes: Annotated[
        bool, Field(description="Go back even where rules that teams' managers published would be lost.")
    ] = False


class PolicyToTest(Order):
    """Without `text` and `version` the live policy is tested. Either `message` or `raw`."""

    text: Annotated[str | None, Field(description="The YAML document, at most 256 KiB.")] = None
    version: Annotated[int | None, Field(ge=0, le=2**31 - 1, description="A published version.")] = None
    message: Annotated[
        str | None,
        Field(pattern="^[0-9a-f]{32}$", description="A kept message's id, by what was found out about it then."),
    ] = None
    raw: Annotated[bytes | None, Field(description="A message as it was sent, base64, at most 2 MiB.")] = None
    sender: Annotated[Line | None, Field(description="Of `raw`: the reverse-path. Else its author.")] = None
    recipient: Annotated[Line | None, Field(description="Of `raw`: where it arrived. Else the default mailbox.")] = None
    client_ip: Annotated[Line | None, Field(description="Of `raw`: who sent it, for SPF.")] = None
    helo: Line | None = None

    @field_validator("raw", mode="before")
    @classmethod
    def _decoded(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            content = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("write it in base64 (RFC 4648)") from None
        if len(content) > MOST_RAW_BYTES:
            raise ValueError(f"it may have {MOST_RAW_BYTES} octets")
        return content

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if self.text is not None and self.version is not None:
            raise ValueError("give `text` or `version`, not both")
        if (self.message is None) == (self.raw is None):
            raise ValueError("give one message: its id as `message`, or itself as `raw`")
        if self.message and any((self.sender, self.recipient, self.client_ip, self.helo)):
            raise ValueError("a kept message has its own envelope: leave sender, recipient, client_ip and helo away")
        return self
