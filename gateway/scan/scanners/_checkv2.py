"""rspamd's HTTP: one client for the process, few connections, no reply without an end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import httpx2

AT_ONCE = 8
"""Connections; rspamd has a process for each of its machine's cores, and what waits here waits no longer than its timeout."""
REPLY_LIMIT_BYTES = 1 << 20
CHUNK_BYTES = 128 * 1024

Fields = Sequence[tuple[bytes, bytes]]


class NonsenseReply(ValueError):
    """What came back is not what rspamd says; the text is for the log."""


class Conversation:
    """With the rspamd at `url`. All methods raise OSError where nobody talks to us, TimeoutError, and NonsenseReply."""

    def __init__(self, url: str, password: str, timeout_seconds: float) -> None:
        self._password = password
        # the environment's proxies are for the world outside; mail is shown to nobody but who is named in the settings
        self._client = httpx2.AsyncClient(
            base_url=url,
            timeout=timeout_seconds,
            limits=httpx2.Limits(max_connections=AT_ONCE),
            trust_env=False,
            follow_redirects=False,
            verify=url.startswith(
                "https:"
            ),  # to read all certificates of the system takes time that http need not wait
        )

    async def check(self, content: bytes, fields: Fields) -> bytes:
        """The JSON it says of a message."""
        sized = [*fields, (b"Content-Length", str(len(content)).encode())]
        return (await self._ask("POST", "/checkv2", sized, _pieces(content)))[0]

    async def version(self) -> str:
        """Its name and version as it tells them (`rspamd/3.4`)."""
        said, server = await self._ask("GET", "/ping", [], None)
        if said.strip() != b"pong":
            raise NonsenseReply(f"it answers {said[:40]!r}, not pong")
        return server

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(
        self, method: str, path: str, fields: Fields, content: AsyncIterator[bytes] | None
    ) -> tuple[bytes, str]:
        headers = [*fields, (b"Accept-Encoding", b"identity")]
        if self._password:
            headers.append((b"Password", self._password.encode()))
        try:
            async with self._client.stream(method, path, headers=headers, content=content) as response:
                said = await _whole(response)
        except httpx2.TimeoutException as error:
            raise TimeoutError(str(error)) from error
        except httpx2.NetworkError as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
        except httpx2.HTTPError as error:
            raise NonsenseReply(str(error) or type(error).__name__) from error
        if response.status_code != 200:
            raise NonsenseReply(f"HTTP {response.status_code}: {said[:100]!r}")
        return said, response.headers.get("Server", "")[:100]


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    """So that a large message is copied into no buffer whole."""
    for at in range(0, len(content), CHUNK_BYTES):
        yield content[at : at + CHUNK_BYTES]


async def _whole(response: httpx2.Response) -> bytes:
    said = b""
    async for piece in response.aiter_raw():
        said += piece
        if len(said) > REPLY_LIMIT_BYTES:
            raise NonsenseReply(f"its reply is longer than {REPLY_LIMIT_BYTES} octets")
    return said
