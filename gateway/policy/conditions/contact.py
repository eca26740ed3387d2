"""`contact`: whether the author is somebody the account knows, or what it knows (`tag`, `company`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from gateway.core.decision import Facts
from gateway.policy.condition import Test, matches
from gateway.policy.matchers import Matchers, Wanted
from gateway.policy.patterns import PatternBook, text_field
from gateway.policy.reading import Reading
from gateway.policy.values import Model, mistake


def _tags(facts: Facts) -> tuple[str, ...]:
    return facts.context.contact.tags if facts.context.contact else ()


def _company(facts: Facts) -> tuple[str, ...]:
    contact = facts.context.contact
    return (contact.company,) if contact and contact.company else ()


_FIELDS = {"tag": text_field("contact.tag", _tags), "company": text_field("contact.company", _company)}


class ContactParams(Model):
    """`known`, `unknown`, or what the contact must have; several keys mean all of them."""

    is_: Literal["known", "unknown"] | None = None
    tag: Matchers | None = None
    company: Matchers | None = None

    @model_validator(mode="after")
    def _something(self) -> ContactParams:
        if not self.model_fields_set:
            raise mistake("this is empty: write known, unknown, {tag: matcher} or {company: matcher}")
        return self


def _word(value: Any) -> Any:
    if isinstance(value, str):
        return {"is_": value}
    if isinstance(value, dict) and "is_" in value:
        raise mistake("write `contact: known` or `contact: unknown`")
    return value


class _Contact:
    name = "contact"
    Params = Annotated[
        ContactParams, BeforeValidator(_word, json_schema_input_type=Literal["known", "unknown"] | ContactParams)
    ]

    def test(self, params: ContactParams, book: PatternBook) -> Test:
        if params.is_ is not None:
            known = params.is_ == "known"
            return Test(lambda reading: (_saw(reading) == "known") == known, params.is_, _saw)
        wanted = {key: getattr(params, key) for key in _FIELDS if getattr(params, key)}
        tests = {key: matches(_FIELDS[key], Wanted(m, _FIELDS[key], book)) for key, m in wanted.items()}
        return Test(
            lambda reading: all(t.holds(reading) for t in tests.values()),
            ", ".join(f"{key}: {t.expected}" for key, t in tests.items()),
            lambda reading: ", ".join(f"{key}: {t.saw(reading)}" for key, t in tests.items()),
        )


def _saw(reading: Reading) -> str:
    return "known" if reading.facts.context.contact else "unknown"


CONDITION: Any = _Contact()
