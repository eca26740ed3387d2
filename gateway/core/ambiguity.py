"""Structure that programs read differently, so that a scanner and a reader see different files: THE list of it.

The parser notes such defects under these names, policy quarantines a message that has one: it is shown to a person
instead of being guessed at. Ambiguity of who wrote it (`ambiguous-author-...`) is not here: the author is then nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

CONTENT_TYPE: Final = "ambiguous-content-type"
TRANSFER_ENCODING: Final = "ambiguous-content-transfer-encoding"
DISPOSITION: Final = "ambiguous-content-disposition"
HEADER: Final = "ambiguous-header"
BOUNDARY: Final = "ambiguous-boundary"
UNREAD_PARTS: Final = "unread-parts"
FILE_NAME: Final = "ambiguous-file-name"
UNKNOWN_ENCODING: Final = "unknown-transfer-encoding"
ENCODED_MULTIPART: Final = "encoded-multipart"
ENCODED_MESSAGE: Final = "encoded-message"
BASE64_BEHIND_PADDING: Final = "base64-behind-padding"
BASE64_WITH_OTHERS: Final = "base64-with-other-characters"
QUOTED_WITH_BLANKS: Final = "quoted-printable-with-blanks-behind-breaks"
UUENCODE: Final = "uuencoded-file-in-text"
YENC: Final = "yenc-file-in-text"
BINHEX: Final = "binhex-file-in-text"

AMBIGUOUS: Final[dict[str, str]] = {
    # some programs take the first field, some the last: a file to one is text to the other
    CONTENT_TYPE: "what kind of content a part is can be read in more than one way (Content-Type)",
    TRANSFER_ENCODING: "how a part is encoded can be read in more than one way (Content-Transfer-Encoding)",
    # one names a file that the other does not have
    DISPOSITION: "a part has several Content-Disposition fields that differ",
    # not every program sees a field behind a broken line, with a blank before its colon, with NUL or CR in it
    HEADER: "a header is broken in a way that hides its Content fields from some programs",
    # RFC 2231 forms, quoting, repetition, prefixes, parts behind the end: each splits otherwise in some program
    BOUNDARY: "where its parts begin and end can be read in more than one way (boundary)",
    # headers of parts stand where no delimiter is read: who reads another boundary, or guesses one, finds files there
    UNREAD_PARTS: "it holds parts that only some programs find",
    # `a.pdf` to the scanner, `a.exe` to the reader
    FILE_NAME: "the name of a file can be read in more than one way",
    # RFC 2045 section 6.4 has it treated as octets, real programs show it as it stands or try base64
    UNKNOWN_ENCODING: "a part has a transfer encoding that not every program knows",
    # RFC 2045 section 6.4 forbids both; some programs decode before they look for parts, most do not
    ENCODED_MULTIPART: "a part made of parts is encoded as a whole, which RFC 2045 forbids",
    ENCODED_MESSAGE: "an attached message is encoded as a whole, which RFC 2046 forbids",
    # some decoders stop at the padding, some go on: what follows is there for one of them only
    BASE64_BEHIND_PADDING: "a file in base64 goes on behind its end",
    # RFC 2045 section 6.8 has them skipped; some decoders stop there, and `-` and `_` are digits to others
    BASE64_WITH_OTHERS: "a file in base64 has characters in it that are not base64",
    # RFC 2045 section 6.7 has blanks at the end of a line taken away; to some decoders the break before them is none then
    QUOTED_WITH_BLANKS: "a file in quoted-printable has blanks behind its soft line breaks",
    # older readers make a file of it, scanners take it for text
    UUENCODE: "the text holds a file in uuencode",
    YENC: "the text holds a file in yEnc",
    BINHEX: "the text holds a file in BinHex",
}
"""The defects that make a message ambiguous, each in words for people; the comment says who reads it otherwise."""


def ambiguity_of(defects: Iterable[str]) -> str:
    """The first of these defects that makes a message ambiguous, in words for people; empty when none does."""
    return next((f"{AMBIGUOUS[defect]}: {defect}" for defect in defects if defect in AMBIGUOUS), "")
