from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.core.errors import InvalidInput
from gateway.policy.document import PolicyDocument
from gateway.policy.loader import load, schema
from gateway.policy.problems import MOST_SHOWN, PolicyError, Problem
from gateway.policy.values import Known

from .shapes import problems

KNOWN = Known(
    frozenset({"finance", "support"}),
    frozenset({"billing@acme.example"}),
    frozenset({"Ann@acme.example"}),
    gateway_domains=frozenset({"acme.gw.example"}),
    agent_templates=frozenset({"new-ticket", "assigned"}),
    customer_templates=frozenset({"acknowledgement"}),
)

MISTAKES = {
    # characters that mean something to YAML
    "rules:\n  - if: {sender: *@bigcorp.example}\n    then: [ignore]": 'line 2, column 18: put quotes around it: "*@bigcorp.example"',
    "block:\n  - sender: *@bigcorp.example": 'line 2, column 13: put quotes around it: "*@bigcorp.example"',
    "block:\n  - sender: *": 'line 2, column 13: put quotes around it: "*"',
    "block:\n  - subject: #help": 'line 2, column 14: put quotes around it: "#help"',
    "block:\n  - subject: [EXT] Invoice": 'line 2, column 14: put quotes around it: "[EXT] Invoice"',
    "block:\n  - subject: {x} y": 'line 2, column 14: put quotes around it: "{x} y"',
    "block:\n  - subject: @home": 'line 2, column 14: put quotes around it: "@home"',
    "block:\n  - {subject: @home, body: x}": 'line 2, column 15: put quotes around it: "@home"',
    "block:\n  - subject: %off": 'line 2, column 14: put quotes around it: "%off"',
    "block:\n  - subject: `x`": 'line 2, column 14: put quotes around it: "`x`"',
    "block:\n  - subject: !urgent now": 'line 2, column 14: put quotes around it: "!urgent now"',
    "block:\n  - subject: &co x": 'line 2, column 14: put quotes around it: "&co x"',
    "block:\n  - subject: Re: hello": 'line 2, column 14: put quotes around it: "Re: hello"',
    'block:\n  - subject: "foo" bar': 'line 2, column 14: put quotes around it: "foo bar"',
    'block: [{subject: "foo" bar}]': "line 1, column 25: the text goes on after a closing quote or bracket: put quotes around the whole of it, or a comma between",
    "block: [{subject: {contains: x}\nrules: []": "line 1, column 9: the { that begins here is not closed: look for a missing } or comma",
    "accept:\n\tsenders: anyone": "line 2, column 1: indent with spaces, not with tabs",
    "block:\n  - subject: 'x": "line 2, column 14: the quote ' that begins here is never closed: write ' behind the text",
    "rules:\n - a\nx: [": "line 3, column 4: the [ that begins here is not closed: look for a missing ] or comma",
    "? [a]\n: b": 'line 1, column 3: put quotes around it: "[a]"',
    # what YAML could do and a policy may not
    "a: &x y\nb: *x": "line 1, column 4: anchors and aliases (&x, *x) are not taken: write the value out wherever it is meant\nline 2, column 4: anchors and aliases (&x, *x) are not taken: write the value out wherever it is meant",
    "a: !!python/object:os.system x": "line 1, column 4: tags are not taken: remove `!!python/object:os.system`; what shall be text gets quotes",
    "rules: []\nrules: []": "line 2, column 1: `rules` stands here twice (first in line 1): join the two, or remove one",
    "accept: {}\n---\nrules: []": "line 2, column 1: a policy is one document: remove the line `---` and what belongs to another document",
    "%TAG ! x:\n---\nrules: []": "line 2, column 1: %TAG is not taken: remove the line",
    "[" * 40: "line 1, column 33: nested more than 32 levels deep: write it flatter",
    'block: [{subject: "\\ud800"}]': "line 1, column 19: half of a surrogate pair is no character: remove the escape",
    'block: [{subject: "\\UFFFFFFFF"}]': "line 1, column 1: this is not YAML (OverflowError): look for an escape such as \\U or \\x in double quotes",
    "block: []\nx: \x07": "line 2, column 4: the character U+0007 may not stand in a document: remove it",
    # shape
    "- a": "line 1, column 1: a policy is a mapping: write `rules:` above this list, and indent the list below it",
    "[]": "line 1, column 1: a policy is a mapping: write `rules:` above this list, and indent the list below it",
    "hello": "line 1, column 1: a policy is a mapping: begin with a key such as `rules:`",
    "rules:": "line 1, column 1: `rules` has no value: give it one, or remove the key",
    "block:\n  -\n": "line 2, column 4: this list item is empty: write it, or remove it",
    "rules: {a: b}": "line 1, column 8: a list is wanted here: begin each of its entries with `- `, also a single one",
    "accept: strict": "line 1, column 9: a mapping is wanted here: write its keys below it, indented: `  senders: anyone`",
    "mailboxes: []": "line 1, column 12: a mapping is wanted here: write the address of a mailbox, a colon, and what is different there",
    "block: [{subject: 12345}]": 'line 1, column 19: a text is wanted here: put quotes around it: "12345"',
    "block: [{subject: {contains: {a: b}}}]": "line 1, column 30: a text is wanted here, not a list or a mapping",
    "block: [{subject: [a, [b]]}]": "line 1, column 23: a mapping is wanted here: write the texts in one list, without another inside: [casino, lottery]",
    "accept: {acknowledge: no}": "line 1, column 23: write false, not no (yes, no, on and off are text)",
    "accept: {acknowledge: [true]}": "line 1, column 23: write true or false (yes, no, on and off are text)",
    "attachments: {max_files: ten}": "line 1, column 26: a whole number is wanted here, without quotes",
    "attachments: {max_files: -1}": "line 1, column 26: this is at least 0",
    # words
    "acept: {}": "line 1, column 1: unknown key `acept`: did you mean `accept`?",
    "accept: {unverfied: reject}": "line 1, column 10: unknown key `unverfied`: did you mean `unverified`?",
    "accept: {unverified: rejct}": 'line 1, column 22: "rejct" is not known here: did you mean `reject`?',
    "accept: {unverified: [reject]}": "line 1, column 22: one word is wanted here, not a list: 'accept', 'quarantine' or 'reject'",
    "block: [{subject: {containz: a}}]": "line 1, column 20: unknown key `containz`: did you mean `contains`?",
    "block: [{kind: [new, foo]}]": 'line 1, column 22: "foo" is not known here: known are answer, automatic, bounce, list, new',
    "rules: [{name: a, subject: x, then: [ignore]}]": "line 1, column 19: `subject` is a condition: write it under `if`",
    "rules: [{name: a, any: [], then: [ignore]}]": "line 1, column 19: `any` is a condition: write it under `if`",
    "rules: [{name: a, route: x, stop: true}]": "line 1, column 19: `route` is an action: write it under `then`",
    # part of the language, not of this version
    "teams: {finace: {rules: [{stop: true}]}}": 'line 1, column 9: there is no team "finace": did you mean `finance`?',
    "teams: {finance: [{stop: true}]}": 'line 1, column 18: a mapping is wanted here: write {rules: […]}: the rules of team "finance"',
    "teams: {finance: {rules: [{name: a, stop: true}, {name: a, stop: true}]}}": "line 1, column 57: there is another rule called `team finance: a`: give each its own name",
    "{rules: [{name: 'team finance: a', stop: true}], teams: {finance: {rules: [{name: a, stop: true}]}}}": "line 1, column 83: there is another rule called `team finance: a`: give each its own name",
    "import_cc: some": 'line 1, column 12: "some" is not known here: known are all, company, listed, none',
    "accept: {spam: hold}": 'line 1, column 16: "hold" is not known here: known are accept, quarantine, reject',
    "block: [{spam: {}}]": "line 1, column 16: this is empty: write true, false or {score_over: 6}",
    "block: [{spam: {is_: true}}]": "line 1, column 16: write `spam: true` or `spam: false`",
    "accept: {join_open_ticket: 90}": "line 1, column 28: write true, false, or how long ago the last activity may be: 90m, 4h or 2d",
    "accept: {join_open_ticket: yes}": "line 1, column 28: write true, false, or how long ago the last activity may be: 90m, 4h or 2d",
    "mailboxes: {billing@acme.example: {body: plain}}": 'line 1, column 42: "plain" is not known here: known are html, text',
    "rules: [{if: {any: [{time: {}}]}, then: [ignore]}]": 'line 1, column 28: say when: {days: mon-fri, hours: "09:00-17:00"}',
    "rules: [{then: [{forward: boss}]}]": 'line 1, column 27: "boss" is no e-mail address (address must be local-part@domain): write name@domain',
    "rules: [{then: [{forward: {to: a@b.example}}]}]": "line 1, column 27: write the addresses themselves: forward: [boss@partner.example]",
    "rules: [{then: [{forward: [billing@acme.example]}]}]": 'line 1, column 28: "billing@acme.example" is a mailbox of this account, and its mail would come back: to give its tickets to others write {route: team} or {notify: [address]}',
    "rules: [{then: [{forward: [x@acme.gw.example]}]}]": "line 1, column 28: mail at acme.gw.example comes to this gateway and would come back: name an address elsewhere",
    f"rules: [{{then: [{{forward: [{', '.join(f'a{n}@b.example' for n in range(11))}]}}]}}]": "line 1, column 27: a message is forwarded to at most 10 addresses, these are 11: write one address of a mailing list for all of them",
    "rules: [{then: [{push: crm}]}]": 'line 1, column 24: there is no connector "crm" in this account, nor any other in this release: remove this, and let the program read tickets by the HTTP API',
    "rules: [{then: [{assign: {team: finance, otherwise: x}}]}]": 'line 1, column 53: there is no team "x": known are finance, support',
    "rules: [{then: [{assign: {team: finance, otherwise: bob@acme.example}}]}]": 'line 1, column 53: there is no agent "bob@acme.example": known are Ann@acme.example',
    "rules: [{then: [{assign: {team: finance, otherwise: {team: support, reassign: true}}}]}]": "line 1, column 69: `reassign` holds for the whole of `assign`: write it beside `otherwise`",
    "rules: [{then: [{assign: {team: finance, otherwise: {team: support, otherwise: finance}}}]}]": "line 1, column 69: one `otherwise` is all there is: name several teams in it, {team: [sales, support]}",
    "rules: [{then: [{assign: {agent: ann@acme.example, otherwise: support}}]}]": "line 1, column 26: an agent who is named gets it in every case: remove `otherwise`, or write a team",
    "rules: [{then: [{mailbox: biling@acme.example}]}]": 'line 1, column 27: there is no mailbox "biling@acme.example": did you mean `billing@acme.example`?',
    "rules: [{then: [{new_ticket: now}]}]": "line 1, column 30: this action takes no value: write it as a mere word",
    "rules: [{then: [{note: ' '}]}]": "line 1, column 24: this is empty: write a text, or remove the key",
    f"rules: [{{then: [{{note: {'x' * 2001}}}]}}]": "line 1, column 24: a note has at most 2000 characters here, this has 2001: shorten it",
    "rules: [{if: {ticket: {}}, stop: true}]": "line 1, column 23: this is empty: write {state: matcher}, {team: matcher}, {tag: matcher} or {closed_for: 7d}",
    "rules: [{if: {ticket: {closed_for: 7}}, stop: true}]": "line 1, column 36: a duration is a number and a unit: 30s, 90m, 4h or 2d",
    "rules: [{if: {any: [{ticket: {closed_for: 7d}}]}, stop: true}]": "line 1, column 9: `closed_for` is about answers, which a rule sees that names `kind`: write `kind: answer` beside it",
    "author_from: [{if: {ticket: {tag: a}}, take: reply-to}]": "line 1, column 21: `ticket` is not known yet where it is decided whose mail this is: use sender, header, subject or another",
    "rules: [{then: [{assign: {team: finance, strategy: contact-owner}}]}]": "line 1, column 52: `contact-owner` is part of the language but not available in this version",
    "rules: [{then: [{notify: {to: assignee, template: new-tickets}}]}]": 'line 1, column 51: there is no template "new-tickets" for mail to agents: did you mean `new-ticket`?',
    # matchers and conditions
    "block: [{subject: {}}]": "line 1, column 19: a matcher has one of exact, wildcard, contains, regex: write a list for several of them",
    "block: [{subject: {contains: a, exact: b}}]": "line 1, column 19: a matcher has one of exact, wildcard, contains, regex: write a list for several of them",
    "block: [{subject: []}]": "line 1, column 19: this list is empty: write something into it, or remove the key",
    "block: [{subject: ''}]": "line 1, column 19: this is empty: write a text, or remove the key",
    "block: [{subject: {contains: ' '}}]": "line 1, column 30: this is empty: write a text, or remove the key",
    "block: [{subject: {regex: '(?=x)'}}]": "line 1, column 27: look-around is not taken (invalid perl operator: (?=): use a second condition, under `all` or `none`",
    "block: [{subject: {regex: '(a)\\1'}}]": "line 1, column 27: there are no backreferences (invalid escape sequence: \\1): write the text again, or a second condition",
    "block: [{subject: {regex: 'a{1,5000}'}}]": "line 1, column 27: nothing is repeated more than 1000 times (invalid repetition size: {1,5000}): write a smaller number, or +",
    f"block: [{{subject: {{wildcard: '{'?' * 2001}'}}}}]": "line 1, column 30: a pattern has at most 2000 characters, this has 2001: shorten it",
    "block: [{sender: bigcorp.example}]": 'line 1, column 18: an address has an @; for a whole domain write {wildcard: "*@bigcorp.example"}',
    "block: [{sender: '*@x.example'}]": 'line 1, column 18: a plain text is compared exactly; for a pattern write {wildcard: "*@x.example"}',
    "block: [{header: {}}]": 'line 1, column 18: this is empty: write {Name: matcher}, for example {List-Id: {contains: "news"}}',
    "block: [{header: {'X y:': a}}]": 'line 1, column 18: "X y:" is no name of a header field: write it without colon and spaces',
    "block: [{contact: friend}]": 'line 1, column 19: "friend" is not known here: known are known, unknown',
    "block: [{contact: {}}]": "line 1, column 19: this is empty: write known, unknown, {tag: matcher} or {company: matcher}",
    "block: [{contact: {is_: known}}]": "line 1, column 19: write `contact: known` or `contact: unknown`",
    "block: [{attachment: {}}]": "line 1, column 22: this is empty: write {name: matcher}, {type: pdf} or {bytes_over: 5MB}",
    "block: [{attachment: {type: 'foo bar'}}]": 'line 1, column 29: "foo bar" is no file type: write a short name such as pdf, exe or jpeg',
    "block: [{bytes_over: 5 parsecs}]": "line 1, column 22: a size is a number of bytes, or has a unit: 25MB (KB, MB, GB; 1 MB is 1,048,576 bytes)",
    "block: [{bytes_over: -5}]": "line 1, column 22: a size is not negative",
    "block: [{}]": "line 1, column 9: this is empty: write a condition, for example {subject: {contains: urgent}}",
    "block: [{all: {subject: x}}]": "line 1, column 15: write a list of conditions: [{subject: …}, {sender: …}]",
    "virus: {defer_at_most: 4}": "line 1, column 24: a duration is a number and a unit: 30s, 90m, 4h or 2d",
    # whose mail it is
    "author_from: {if: {subject: x}, take: reply-to}": "line 1, column 14: a list is wanted here: begin each of its entries with `- `, also a single one",
    "author_from: [{take: reply-to}]": "line 1, column 15: `if` is missing here",
    "author_from: [{if: {subject: x}}]": "line 1, column 15: `take` is missing here",
    "author_from: [{if: {}, take: reply-to}]": "line 1, column 20: this is empty: write a condition, for example {subject: {contains: urgent}}",
    "author_from: [{if: {sender: @forms.example}, take: reply-to}]": 'line 1, column 29: put quotes around it: "@forms.example"',
    "author_from: [{if: {subjct: x}, take: reply-to}]": "line 1, column 21: unknown key `subjct`: did you mean `subject`?",
    "author_from: [{if: {subject: x}, take: replyto}]": 'line 1, column 40: "replyto" is not known here: did you mean `reply-to`?',
    "author_from: [{if: {subject: x}, take: sender}]": 'line 1, column 40: "sender" is not known here: known are reply-to, x-original-from, x-original-sender',
    "author_from: [{if: {contact: known}, take: reply-to}]": "line 1, column 21: `contact` is not known yet where it is decided whose mail this is: use sender, header, subject or another",
    "author_from: [{if: {any: [{kind: new}]}, take: reply-to}]": "line 1, column 28: `kind` is not known yet where it is decided whose mail this is: use sender, header, subject or another",
    # rules and actions
    "rules: [{name: a}]": "line 1, column 9: this rule does nothing: give it `then: […]`, or `stop: true`",
    "rules: [{then: ignore}]": "line 1, column 16: write a list of actions: then: [{route: support}, {tag: [vip]}]",
    "rules: [{then: {route: finance}}]": "line 1, column 16: write a list of actions: then: [{route: support}, {tag: [vip]}]",
    "rules: [{then: [route]}]": "line 1, column 17: write {route: …}: what it acts on stands behind a colon",
    "rules: [{then: [{}]}]": "line 1, column 17: this is empty: write an action, for example {route: support}",
    "rules: [{then: [{ignore: yes}]}]": "line 1, column 26: this action takes no value: write it as a mere word",
    "rules:\n- {name: a, stop: true}\n- {name: a, stop: true}": "line 3, column 10: there is another rule called `a`: give each its own name",
    "rules:\n- {stop: true}\n- {name: rule 1, stop: true}": "line 3, column 10: there is another rule called `rule 1`: give each its own name",
    "rules:\n- {name: rule 2, stop: true}\n- {stop: true}": "line 3, column 3: there is another rule called `rule 2`: give each its own name",
    "rules: [{then: [{notify: [x@b.example, Billing@acme.example]}]}]": 'line 1, column 40: "Billing@acme.example" is a mailbox of this account, and its notices would come back unread: name people, or {team: name}',
    "rules: [{then: [{route: finace}]}]": 'line 1, column 25: there is no team "finace": did you mean `finance`?',
    "rules: [{then: [{route: {reassign: true}}]}]": "line 1, column 25: `team` is missing here",
    "rules: [{then: [{assign: bob@acme.example}]}]": 'line 1, column 26: there is no agent "bob@acme.example": known are Ann@acme.example',
    "rules: [{then: [{assign: bob}]}]": 'line 1, column 26: "bob" is no e-mail address (address must be local-part@domain): write name@domain',
    "rules: [{then: [{assign: {strategy: least-open}}]}]": "line 1, column 26: say either which agent, or which team: assign: ann@acme.example, or assign: {team: sales}",
    "rules: [{then: [{assign: {agent: ann@acme.example, strategy: least-open}}]}]": "line 1, column 26: a strategy chooses among the agents of a team: remove it, or write a team",
    "rules: [{then: [{assign: {team: finance, strategy: random}}]}]": 'line 1, column 52: there is no strategy "random": known are least-open, least-today, round-robin',
    "rules: [{if: {mailbox: biling@acme.example}, stop: true}]": 'line 1, column 24: there is no mailbox "biling@acme.example": did you mean `billing@acme.example`?',
    "mailboxes: {help@acme.example: {}}": 'line 1, column 13: there is no mailbox "help@acme.example": known are billing@acme.example',
    "mailboxes: {billing@acme.example: {}, Billing@acme.example: {}}": "line 1, column 39: `Billing@acme.example` and `billing@acme.example` are one mailbox: join what stands below the two",
    "rules: [{then: [{set: {fields: {'': x}}}]}]": "line 1, column 23: a field has a name: write {fields: {order: 4711}}",
    "rules: [{then: [{set: {}}]}]": "line 1, column 23: nothing to set: write {priority: high}, {state: pending}, {language: de} or {fields: {…}}",
    "rules: [{then: [{set: {language: klingon!}}]}]": 'line 1, column 34: "klingon!" is no language tag: write en, de or pt-BR',
    "rules: [{then: [{notify: [boss]}]}]": 'line 1, column 27: "boss" is no e-mail address: write name@domain, assignee, or {team: name}',
    "rules: [{then: [{notify: [{team: finace}]}]}]": 'line 1, column 27: there is no team "finace": did you mean `finance`?',
    "rules: [{then: [{notify: {to: {a: b}}}]}]": "line 1, column 31: a recipient is an address, assignee, or {team: name}",
    "rules: [{then: [{acknowledge: acknowlegement}]}]": 'line 1, column 31: there is no template "acknowlegement" for mail to customers: did you mean `acknowledgement`?',
    "rules: [{then: [{acknowledge: no}]}]": "line 1, column 31: write false for no confirmation, true for the usual one, or the name of a template",
    "rules: [{then: [{acknowledge: Nice Template}]}]": 'line 1, column 31: there is no template "Nice Template" for mail to customers: known are acknowledgement',
    "rules: [{then: [{reject: Żółw}]}]": 'line 1, column 26: an SMTP reply is one line of ASCII: write it without "Ż" (U+017B)',
    f"rules: [{{then: [{{reject: '{'x' * 301}'}}]}}]": "line 1, column 26: an SMTP reply has at most 300 characters here, this has 301: shorten it",
}


@pytest.mark.parametrize("text", MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_told_with_place_and_cure(text):
    assert problems(text, KNOWN) == MISTAKES[text]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_document():
    said = problems("acept: {}\naccept: {forged: maybe}\nrules: [{then: [{route: x, tag: }]}]", KNOWN).split("\n")
    assert [line.split(":")[0] for line in said] == [
        "line 1, column 1",
        "line 2, column 18",
        "line 3, column 25",
        "line 3, column 28",
    ]


def test_a_problem_names_the_path_in_the_document():
    with pytest.raises(PolicyError) as caught:
        load("rules:\n  - name: a\n    if: {any: [{subject: {regex: '('}}]}\n    stop: true")
    assert [p.path for p in caught.value.problems] == ["rules[0].if.any[0].subject.regex"]


def test_an_error_is_invalid_input_and_shows_no_more_than_anybody_reads():
    error = PolicyError([Problem(n, 1, "", "wrong") for n in range(1, MOST_SHOWN + 4)])
    assert isinstance(error, InvalidInput)
    assert str(error).split("\n")[-1] == "and 3 more"
    assert len(error.problems) == MOST_SHOWN + 3


def test_too_big_a_document_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr("gateway.policy.yaml_tree._events", lambda text: pytest.fail("it was parsed"))
    assert problems("x" * (256 * 1024 + 1)).startswith(
        "line 1, column 1: the document has 262145 bytes, more than 262144"
    )


@pytest.mark.parametrize("text", ["", "\n# nothing but a comment\n", "---\n", "{}", "~"])
def test_an_empty_document_is_a_good_one(text):
    assert load(text) == PolicyDocument()


@pytest.mark.parametrize("word", ["no", "on", "yes", "off", "9:30", "2024-01-01", "1_000", ".5.", "0o9", "1e999"])
def test_what_yaml_1_1_would_convert_is_text(word):
    assert load(f"block: [{{subject: {word}}}]").block[0].subject[0].exact == (word,)


@pytest.mark.parametrize(
    ("written", "value"), [("0x10", 16), ("0o10", 8), ("12", 12), ("1KB", 1024), ("1.5 MiB", 1572864)]
)
def test_numbers_of_the_core_schema(written, value):
    assert load(f"block: [{{bytes_over: {written}}}]").block[0].bytes_over == value


@pytest.mark.parametrize(
    ("written", "value"), [("1.5", "1.5"), ("7", "7"), ("true", "true"), ("FALSE", "false"), ("x", "x")]
)
def test_a_field_of_the_ticket_takes_any_scalar_as_text(written, value):
    assert load(f"rules: [{{then: [{{set: {{fields: {{a: {written}}}}}}}]}}]").rules[0].then[0].set.fields == {
        "a": value
    }


@pytest.mark.parametrize(("written", "seconds"), [("30s", 30), ("90m", 5400), ("4h", 14400), ("2d", 172800)])
def test_durations(written, seconds):
    assert load(f"virus: {{defer_at_most: {written}}}").virus.defer_at_most == seconds


def test_windows_line_ends_and_a_byte_order_mark_are_taken():
    assert load("\ufeffaccept:\r\n  forged: accept\r\n").accept.forged == "accept"


@pytest.mark.parametrize(
    ("written", "value"), [("false", False), ("true", True), ("90m", timedelta(minutes=90)), ("2d", timedelta(days=2))]
)
def test_join_open_ticket_is_yes_no_or_how_recent_the_last_activity_must_be(written, value):
    assert load(f"accept: {{join_open_ticket: {written}}}").accept.join_open_ticket == value


def test_known_names_are_compared_as_addresses_are():
    document = load("rules: [{if: {mailbox: BILLING@acme.example}, then: [{assign: ann@ACME.example}]}]", KNOWN)
    assert document.rules[0].then[0].assign.agent == "ann@ACME.example"


def test_without_known_names_any_are_taken():
    load("rules: [{if: {mailbox: a@b.example}, then: [{route: x}, {notify: [{team: y}, assignee]}]}]")


def test_a_document_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load("").accept.forged = "accept"


def test_the_schema_is_json_and_has_every_condition_and_action():
    text = json.dumps(schema())
    for word in ("sender", "mailbox", "attachment", "notify_only", "assign", "least-open", "defer_at_most", "any"):
        assert word in text
    assert schema()["additionalProperties"] is False


PIECES = st.sampled_from(
    [
        *(
            "rules:",
            "block: ",
            "mailboxes: ",
            "accept: ",
            "if: ",
            "then: ",
            "any: ",
            "subject: ",
            "sender: ",
            "header: ",
        ),
        *("route: ", "set: ", "ignore", "a@b.c: ", "{regex: '(a'}", "yes", "1", "é"),
        *(
            "\n",
            "\r",
            "\t",
            "  ",
            "- ",
            "{",
            "}",
            "[",
            "]",
            ", ",
            "*",
            "&a",
            "!x",
            "#",
            "'",
            '"',
            "\\",
            "~",
            "%",
            "---",
        ),
        *("|", ">", "?", "\ud800", "\\ud800", "\\UFFFFFFFF", "\x85", "\u2028", "\x00"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
@example("%YAML 1.2.3\n---\n")
@example("%YAML 99999999999999999999.1\n---\n")
@example('"\\x"')
@example("a: !<> b")
@example("- \x85#")
@example("[\r0")
@example("{" * 31)
@example("rules: [" + "[" * 2000)
@example('"' + "\\" + "\ud800" + '"')
def test_no_text_makes_the_loader_raise_anything_else(text):
    try:
        result: object = load(text, KNOWN)
    except PolicyError as error:
        result = error
    assert isinstance(result, PolicyDocument) or str(result)
