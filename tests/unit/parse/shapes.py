"""Messages in a few words, for the tests of the parser."""

from __future__ import annotations


def message(*fields: str | bytes, body: str | bytes = b"hello\r\n") -> bytes:
    """A message of these header fields; a From is added when none is given."""
    octets = [f.encode() if isinstance(f, str) else f for f in fields]
    if not any(f.lower().startswith(b"from") for f in octets):
        octets.insert(0, b"From: carol@customer.example")
    return b"\r\n".join(octets) + b"\r\n\r\n" + (body.encode() if isinstance(body, str) else body)


def multipart(*parts: str | bytes, kind: str = "mixed", boundary: str = "b1", fields: tuple[str, ...] = ()) -> bytes:
    """A multipart message; each part is its header and body, a blank line between."""
    octets = [p.encode() if isinstance(p, str) else p for p in parts]
    crlf = [p.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for p in octets]
    mark = boundary.encode()
    body = b"".join(b"--" + mark + b"\r\n" + p + b"\r\n" for p in crlf) + b"--" + mark + b"--\r\n"
    return message(f'Content-Type: multipart/{kind}; boundary="{boundary}"', *fields, body=body)
