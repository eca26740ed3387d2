"""Bodies of requests: JSON of one shape, bounded, and read only once it is known that the caller may send it.

The framework reads a body before it asks who sent it, and to its end however long it is.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from gateway.web.problems import Mistake, Problem, bad_request

T = TypeVar("T", bound=BaseModel)

POLICY_BYTES = 1024 * 1024
"""A policy of 256 KiB, with every character of it escaped as JSON allows."""
MESSAGE_BYTES = 4 * 1024 * 1024
"""The same with a message beside it, in base64."""

SHAPES: dict[str, type[BaseModel]] = {}
"""What bodies there are, by name: for the description of the API."""


class Body(Generic[T]):
    """A dependency. It stands behind the caller in a route's parameters: these are asked in their order."""

    def __init__(self, shape: type[T], most_bytes: int = POLICY_BYTES) -> None:
        self._shape, self._most = shape, most_bytes
        SHAPES[shape.__name__] = shape

    async def __call__(self, request: Request) -> T:
        """Raises Problem."""
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > self._most:
                raise Problem(413, f"the body is larger than {self._most} octets")
        try:
            return self._shape.model_validate_json(bytes(content))
        except ValidationError as error:
            raise bad_request([_mistake(dict(e)) for e in error.errors(include_url=False)]) from None


def taking(shape: type[BaseModel]) -> dict[str, Any]:
    """For `openapi_extra`: the body that a route takes."""
    schema = {"$ref": f"#/components/schemas/{shape.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _mistake(error: dict[str, Any]) -> Mistake:
    where = ".".join(str(step) for step in error["loc"])
    cure = str(error["msg"]).removeprefix("Value error, ").replace("Input should", "it should")
    return Mistake(where=f"body: {where}" if where else "body", what="does not fit", cure=cure)
