"""What a person writes who meets YAML for the first time: each mistake is told with its place and its cure."""

from __future__ import annotations

import pytest

from gateway.policy.key_kinds import TAKE_A_LIST, TAKE_A_MAPPING, TAKE_A_WORD
from gateway.policy.loader import load, load_published, schema
from gateway.policy.problems import PolicyError
from gateway.policy.values import Known

KNOWN = Known(
    frozenset({"finance", "support", "after-sales"}),
    frozenset({"billing@acme.example", "support@acme.example"}),
    frozenset({"ann@acme.example", "bob@acme.example"}),
)

MISTAKES = [
    # (the document, line, column, the message)
    # what YAML reads otherwise than a person
    ("accept:\n\tsenders: anyone", 2, 1, "indent with spaces, not with tabs"),
    ("rules:\n  - name: a\n\tthen: [ignore]", 3, 1, "indent with spaces, not with tabs"),
    ("rules:\n  - name:\ta\n    then: [ignore]", 2, 10, "a tab stands here: write a space behind the colon, not a tab"),
    ("accept:\n  senders:\tcontacts", 2, 11, "a tab stands here: write a space behind the colon, not a tab"),
    ("rules:\n -\tthen: [ignore]", 2, 3, "a tab stands here: write a space behind the dash, not a tab"),
    ("accept:\n  senders: anyone\t# all", 2, 18, "a tab stands here: write a space, not a tab"),
    ("accept:\n  senders:anyone", 2, 3, "put a space behind the colon: `senders: anyone`"),
    ("accept:\n  senders:anyone\n  forged: accept", 2, 10, "put a space behind the colon: `senders: anyone`"),
    ("rules:[]", 1, 1, "put a space behind the colon: `rules: []`"),
    ("block: [{subject:casino}]", 1, 10, "put a space behind the colon: `subject: casino`"),
    ("rules:\n  - name:a\n    then: [ignore]", 2, 9, "put a space behind the colon: `name: a`"),
    ("rules:\n  - name: a\n    then:[ignore]", 3, 9, "put a space behind the colon: `then: [ignore]`"),
    ("rules:\n  -name: a\n   then: [ignore]", 2, 3, "put a space behind the dash: `- name: a`"),
    ("block:\n  -subject: x", 2, 3, "put a space behind the dash: `- subject:`"),
    ("block:\n  - sender: *@x.example", 2, 13, 'put quotes around it: "*@x.example"'),
    ("block:\n  - subject: #1", 2, 14, 'put quotes around it: "#1"'),
    ("rules:\n  - then: [{tag: [#vip]}]", 2, 19, 'put quotes around it: "#vip"'),
    ("rules:\n  - then:\n      - tag:\n          - #vip", 4, 12, 'put quotes around it: "#vip"'),
    ("block:\n  - subject: [EXT] hi", 2, 14, 'put quotes around it: "[EXT] hi"'),
    ("block:\n  - sender: @x.example", 2, 13, 'put quotes around it: "@x.example"'),
    ("block:\n  - subject: %50", 2, 14, 'put quotes around it: "%50"'),
    ("block:\n  - subject: &co", 2, 14, 'put quotes around it: "&co"'),
    ("block:\n  - subject: !!!", 2, 14, 'put quotes around it: "!!!"'),
    ("block:\n  - subject: !important", 2, 14, 'put quotes around it: "!important"'),
    ("block:\n  - subject: > quoted", 2, 14, 'put quotes around it: "> quoted"'),
    ("block:\n  - subject: | a", 2, 14, 'put quotes around it: "| a"'),
    ("block:\n  - subject: ? what", 2, 14, 'put quotes around it: "? what"'),
    ("block:\n  - subject: - offer", 2, 14, 'put quotes around it: "- offer"'),
    ("block: [{subject: hello, world}]", 1, 26, 'a comma ends the text before it: put quotes around one text, "hello, world", or brackets around a list, [hello, world]'),
    ("attachments: {deny: exe, dll}", 1, 26, 'a comma ends the text before it: put quotes around one text, "exe, dll", or brackets around a list, [exe, dll]'),
    ("block: [{subject: {regex: [a-z]{3}}}]", 1, 27, 'put quotes around it: "[a-z]{3}"'),
    ("rules:\n  - name: VIP: big\n    then: [ignore]", 2, 11, 'put quotes around it: "VIP: big"'),
    ("block:\n  - subject: {{ casino }}", 2, 15, 'put quotes around it: "{{ casino }}"'),
    ('block: [{subject: {regex: "\\d+"}}]', 1, 27, "in double quotes a backslash begins an escape of YAML: use single quotes: '\\d+'"),
    ('block: [{subject: {regex: "\\bfoo"}}]', 1, 27, "this has the control character U+0008: in double quotes a backslash begins an escape of YAML, use single quotes"),
    # indentation
    ("rules:\n  - name: a\n   then: [ignore]", 3, 4, "this line begins where none above it begins; begin it in column 3 or 5, exactly below what it belongs to"),
    ("rules:\n  - name: a\n      then: [ignore]", 3, 7, "this line is indented too far: line 2 above it has its value already; begin it in column 3 or 5, exactly below what it belongs to"),
    ("rules:\n  - name: a\n    if:\n    subject: x\n    then: [ignore]", 3, 5, "`if` has no value: give it one, or remove the key"),
    ("  accept: {}\nrules: []", 2, 1, "this line begins where none above it begins; begin it in column 3, exactly below what it belongs to"),
    ("accept: {}\n  rules: []", 2, 3, "this line begins where none above it begins; begin it in column 1, exactly below what it belongs to"),
    ("accept:\nsenders: anyone", 1, 1, "`accept` has no value: give it one, or remove the key"),
    ("rules:\n  - then:\n      - route:\n        finance", 4, 9, '"finance" is no `key: value`: write its key, or indent it further than the line it belongs to'),
    # quotes and brackets
    ("block:\n  - subject: “casino”", 2, 14, '“ is no quote of YAML: write " (straight quotes)'),
    ("“accept”: {}", 1, 1, '“ is no quote of YAML: write " (straight quotes)'),
    ("block:\n  - sender: ‘a@b.example’", 2, 13, "‘ is no quote of YAML: write ' (straight quotes)"),
    ("block:\n  - sender: {wildcard: “*@b.example”}", 2, 24, '“ is no quote of YAML: write " (straight quotes)'),
    ("block:\n  - subject: 'x\n  - body: y", 2, 14, "the quote ' that begins here is never closed: write ' behind the text"),
    ('block:\n  - subject: "x\n  - body: y', 2, 14, 'the quote " that begins here is never closed: write " behind the text'),
    ("block:\n  - subject: 'don't'", 2, 14, "inside single quotes ' is written '': 'don''t', or \"don't\""),
    ("block:\n  - subject: {contains: 'it's'}", 2, 25, "inside single quotes ' is written '': 'it''s', or \"it's\""),
    ('block:\n  - subject: {contains: "say "hi""}', 2, 25, 'inside double quotes " is written \\": "say \\"hi\\"", or \'say "hi"\''),
    ('block:\n  - subject: "say "hi""', 2, 14, 'inside double quotes " is written \\": "say \\"hi\\"", or \'say "hi"\''),
    # several lines in one
    ("rules:\n  - if: subject: x\n    then: [ignore]", 2, 9, "put braces around it: {subject: x}, or write `subject: x` in the line below `if`, further to the right"),
    ("rules:\n  - if: subject: Re: x\n    then: [ignore]", 2, 9, 'put braces around it: {subject: "Re: x"}, or write `subject: Re: x` in the line below `if`, further to the right'),
    ("rules:\n  - if: any:\n      - subject: x\n    then: [ignore]", 2, 9, "write `any:` in the line below `if`, further to the right"),
    ("block:\n  - subject: contains: x", 2, 14, "put braces around it: {contains: x}, or write `contains: x` in the line below `subject`, further to the right"),
    ("accept: senders: anyone", 1, 9, "put braces around it: {senders: anyone}, or write `senders: anyone` in the line below `accept`, further to the right"),
    ("rules:\n  - if: {subject: x} then: [ignore]", 2, 22, "`then` belongs on its own line: begin that line in column 5, below the key before it"),
    ("rules:\n  - if: {subject: x}, then: [ignore]", 2, 23, "`then` belongs on its own line: begin that line in column 5, below the key before it"),
    ("rules:\n  - then: [ignore] stop: true", 2, 20, "`stop` belongs on its own line: begin that line in column 5, below the key before it"),
    ("rules: [{if: {subject: x} then: [ignore]}]", 1, 27, "a comma is missing before `then`"),
    ("rules:\n  - if: {subject: x}\n    then: - ignore", 3, 11, "a list begins in the line below its key: write `- ignore` there, further to the right than `then`, or [ignore] here"),
    ("rules:\n  - then: - route: finance\n          - ignore", 2, 11, "a list begins in the line below its key: write `- route: finance` there, further to the right than `then`, or [{route: finance}] here"),
    ("block: [{subject: {contains: Re: x}}]", 1, 30, 'put quotes around it: "Re: x"'),
    ("block: [{subject: {contains: a}, body: Re: x, sender: a@b.example}]", 1, 40, 'put quotes around it: "Re: x"'),
    ("rules:\n  - then: [{set: {priority: high}, {tag: [a]}]", 2, 36, "a } is missing before the comma: the mapping before it is not closed"),
    ("rules:\n  - then: [{set: {priority: high},\n      {tag: [a]}]", 3, 7, "a } is missing before the comma: the mapping before it is not closed"),
    ("accept: {senders: anyone messages: all}", 1, 26, "`messages` is another key: put a comma before it"),
    ("accept:\n  tell_refused: true messages: all", 2, 22, "`messages` is another key: write it in a line of its own"),
    ("block: [{subject: x} {body: y}]", 1, 22, "a comma is missing before this {"),
    ("mailboxes:\n  support@acme.example: body: text", 2, 25, "put braces around it: {body: text}, or write `body: text` in the line below `support@acme.example`, further to the right"),
    ("teams:\n  finance: rules: []", 2, 12, "put braces around it: {rules: []}, or write `rules: []` in the line below `finance`, further to the right"),
    ("block:\n  - subject: Re: name: x", 2, 14, 'put quotes around it: "Re: name: x"'),
    ("rules:\n  - if: {subject: x},\n    then: [ignore]", 2, 21, "a line ends without a comma: remove it"),
    ("%YAML 1.3\n---\nbody: html", 1, 1, "a policy is YAML 1.2 and has no directives: remove the line `%YAML 1.3`"),
    ("# ours\n%YAML 1.1\n---\nbody: html", 2, 1, "a policy is YAML 1.2 and has no directives: remove the line `%YAML 1.1`"),
    ("%FOO\nbody: html", 1, 1, "a policy is YAML 1.2 and has no directives: remove the line `%FOO`"),
    ("rules:\n  - then: [ignore\n    stop: true", 2, 11, "the [ that begins here is not closed: look for a missing ] or comma"),
    ("block:\n  - {subject: x\n  - {body: y}", 2, 5, "the { that begins here is not closed: look for a missing } or comma"),
    ("block:\n  - {subject: x}}", 2, 17, "this } closes nothing: remove it"),
    ("{'rules': [{'then': ['ignore']}]", 1, 1, "the { that begins here is not closed: look for a missing } or comma"),
    # what was pasted
    ("rules: []\n﻿block: []", 2, 1, "there is a character here that looks like a space or like nothing (byte order mark, U+FEFF): write plain spaces"),
    ("accept:\n  senders: anyone", 2, 1, "there is a character here that looks like a space or like nothing (no-break space, U+00A0): write plain spaces"),
    ("accept:\n  senders: anyone", 2, 3, "there is a character here that looks like a space or like nothing (no-break space, U+00A0): write plain spaces"),
    ("accept:\n  \u200bsenders: anyone", 2, 3, "there is a character here that looks like a space or like nothing (zero-width space, U+200B): write plain spaces"),
    ("accept：\n  senders: anyone", 1, 7, "this colon is another character (U+FF1A): write : and a space"),
    ("rules:\n  – then: [ignore]", 2, 3, "an entry of a list begins with a plain hyphen: write - instead of –"),
    ("accept:\n  senders = anyone", 2, 3, "write a colon and a space, not `=`: `senders: anyone`"),
    ("<!DOCTYPE html>\n<html><body>hello</body></html>", 1, 1, "this is HTML, not YAML: copy the text as the page shows it"),
    ("<p>rules:</p>", 1, 1, "this is HTML, not YAML: copy the text as the page shows it"),
    ("```yaml\nrules: []\n```", 1, 1, "remove the lines that begin with ```: they only marked it as code where it was copied from"),
    ("[accept]\nsenders = 'anyone'", 1, 1, "this is TOML or INI, not YAML: write `accept:` instead of [accept]"),
    ("ÿþr\u0000u\u0000l\u0000e\u0000s\u0000:\u0000 \u0000[\u0000]\u0000", 1, 1, "this is UTF-16: save the file as UTF-8 (in Notepad: Save as, Encoding)"),
    ("rules: []\n---\nblock: []", 2, 1, "a policy is one document: remove the line `---` and what belongs to another document"),
    # what YAML could do and a policy may not
    ("a: &x y", 1, 4, 'put quotes around it: "&x y"'),
    ("block:\n  - &a {subject: x}\n  - *a", 2, 5, "anchors and aliases (&a, *a) are not taken: write the value out wherever it is meant"),
    ("rules:\n  - <<: {name: a}\n    then: [ignore]", 2, 5, "unknown key `<<`: merge keys (<<) are not taken: write the keys out"),
    ("rules:\n  - <<: *base\n    then: [ignore]", 2, 9, "merge keys (<<) are not taken: write the keys out"),
    ("block:\n  - subject: !!str 5", 2, 14, "tags are not taken: remove `!!str`; what shall be text gets quotes"),
    ("x: !!python/object/apply:os.system [ls]", 1, 4, "tags are not taken: remove `!!python/object/apply:os.system`; what shall be text gets quotes"),
    ("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]", 1, 4, "anchors and aliases (&a, *a) are not taken: write the value out wherever it is meant"),
    ("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 1, 33, "nested more than 32 levels deep: write it flatter"),
    ("block: {any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [{any: [", 1, 119, "nested more than 32 levels deep: write it flatter"),
    # shape
    ("rule:\n  - then: [ignore]", 1, 1, "unknown key `rule`: did you mean `rules`?"),
    ("Rules:\n  - then: [ignore]", 1, 1, "unknown key `Rules`: did you mean `rules`?"),
    ("rules:\n  name: a\n  then: [ignore]", 2, 3, "a list is wanted here: begin each of its entries with `- `, also a single one"),
    ("rules:\n  - if: [{subject: x}]\n    then: [ignore]", 2, 9, "conditions that must all hold stand side by side without dashes; for one of several write `any: […]`"),
    ("rules:\n  - if:\n      - subject: x\n      - sender: a@b.example\n    then: [ignore]", 3, 7, "conditions that must all hold stand side by side without dashes; for one of several write `any: […]`"),
    ("rules:\n  - if: urgent\n    then: [ignore]", 2, 9, "a condition has a name: write {subject: {contains: urgent}}"),
    ("rules:\n  - if: subject contains urgent\n    then: [ignore]", 2, 9, "a condition has a name: write {subject: {contains: urgent}}"),
    ("rules:\n  - then: ignore", 2, 11, "write a list of actions: then: [{route: support}, {tag: [vip]}]"),
    ("rules:\n  - then: route finance", 2, 11, "write a list of actions: then: [{route: support}, {tag: [vip]}]"),
    ("rules:\n  - then:\n      route: finance", 3, 7, "write a list of actions: then: [{route: support}, {tag: [vip]}]"),
    ("rules:\n  - then: [route finance]", 2, 12, "write {route: finance}: what it acts on stands behind a colon"),
    ("rules:\n  - then: [route]", 2, 12, "write {route: …}: what it acts on stands behind a colon"),
    ("- if: {subject: x}\n  then: [ignore]", 1, 1, "a policy is a mapping: write `rules:` above this list, and indent the list below it"),
    ("just text", 1, 1, "a policy is a mapping: begin with a key such as `rules:`"),
    ("rules: none", 1, 8, "a list is wanted here: write [ ] around it, or lines that begin with -"),
    ("block: spam@x.example", 1, 8, "a list is wanted here: write [ ] around it, or lines that begin with -"),
    ("block:\n  - spam@x.example", 2, 5, "a condition has a name: write {sender: spam@x.example}"),
    ("accept: {forged: [reject]}", 1, 18, "one word is wanted here, not a list: 'accept', 'quarantine' or 'reject'"),
    ("accept: {acknowledge: [true]}", 1, 23, "write true or false (yes, no, on and off are text)"),
    ("accept: {forged: {is: reject}}", 1, 18, "one word is wanted here, not a mapping: 'accept', 'quarantine' or 'reject'"),
    ("attachments: {allow: [jpg]}", 1, 22, "a mapping is wanted here: write {image: […], video: […], audio: […]}"),
    ("block:\n  - header: X-Spam", 2, 13, "a mapping is wanted here: write {Name: matcher}, for example {List-Id: {contains: news}}"),
    ("rules:\n  - then: [{set: high}]", 2, 18, "a mapping is wanted here: write {priority: high}, {state: pending}, {language: de} or {fields: {…}}"),
    ("block:\n  - spam: 6", 2, 11, "a mapping is wanted here: write true, false or {score_over: 6}"),
    ("mailboxes:\n  - billing@acme.example", 2, 3, "a mapping is wanted here: write the address of a mailbox, a colon, and what is different there"),
    ("block: [{ticket: open}]", 1, 18, "a mapping is wanted here: write {state: open}"),
    ("block: [{ticket: vip}]", 1, 18, "a mapping is wanted here: write {state: open}, {team: matcher}, {tag: matcher} or {closed_for: 7d}"),
    ("rules:\n  - then: [{route: [a, b]}]", 2, 20, "a mapping is wanted here: write one team, route: a; {assign: {team: [a, b]}} tries several"),
    ("rules:\n  - then: [{assign: [a, b]}]", 2, 21, "a mapping is wanted here: write one agent, assign: name@domain, or {team: TEAM}, also {team: [TEAM, TEAM]} for several"),
    ("block: [{time: weekend}]", 1, 16, "a mapping is wanted here: write {days: sat-sun}"),
    ("block: [{time: mon-fri}]", 1, 16, "a mapping is wanted here: write {days: mon-fri}"),
    ("block: [{time: '09:00-17:00'}]", 1, 16, 'a mapping is wanted here: write {hours: "09:00-17:00"}'),
    ("block: [{time: later}]", 1, 16, 'a mapping is wanted here: write {days: mon-fri}, {hours: "09:00-17:00"} or {holidays: ["12-25"]}'),
    ("teams: {finance: []}", 1, 18, 'a mapping is wanted here: write {rules: […]}: the rules of team "finance"'),
    ("teams: [finance]", 1, 8, "a mapping is wanted here: write the name of a team, a colon, and `{rules: […]}`"),
    ("mailboxes: {support@acme.example: []}", 1, 35, "a mapping is wanted here: write what is different for this mailbox, for example {accept: {acknowledge: false}}"),
    ("virus: reject", 1, 8, "a mapping is wanted here: write what it is for, {infected: reject} or {unscannable: reject}"),
    ("attachments: [exe]", 1, 14, "a mapping is wanted here: write its keys below it, indented: `  deny: [exe, zip]`"),
    ("rules:\n  - if: {subject: x}", 2, 5, "this rule does nothing: give it `then: […]`, or `stop: true`"),
    ("rules:\n  - stop", 2, 5, "a mapping is wanted here: write a rule: `- if: {subject: {contains: urgent}}`, and below it `then: […]`"),
    ("accept: {}\naccept: {}", 2, 1, "`accept` stands here twice (first in line 1): join the two, or remove one"),
    ("rules:\n  - if:\n      subject: a\n      subject: b\n    then: [ignore]", 4, 7, "`subject` stands here twice (first in line 3): join the two, or remove one"),
    ("rules:\n  - {name: a, then: [ignore]}\n  - {name: a, then: [ignore]}", 3, 12, "there is another rule called `a`: give each its own name"),
    ("rules:\n  - name:\n    then: [ignore]", 2, 5, "`name` has no value: give it one, or remove the key"),
    ("rules:\n  - name: 1\n    then: [ignore]", 2, 11, 'a text is wanted here: put quotes around it: "1"'),
    ("block:\n  - subject: 2024", 2, 14, 'a text is wanted here: put quotes around it: "2024"'),
    ("rules:\n  - then: [{tag: [2024]}]", 2, 19, 'a text is wanted here: put quotes around it: "2024"'),
    ("attachments: {max_files: '10'}", 1, 26, "a whole number is wanted here, without quotes"),
    ("attachments: {max_files: 99999}", 1, 26, "this is at most 10000"),
    # words of other programs
    ("rules:\n  - if: {subjct: x}\n    then: [ignore]", 2, 10, "unknown key `subjct`: did you mean `subject`?"),
    ("rules:\n  - if: {from: a@b.example}\n    then: [ignore]", 2, 10, "unknown key `from`: did you mean `sender`?"),
    ("rules:\n  - if: {to: a@b.example}\n    then: [ignore]", 2, 10, "unknown key `to`: did you mean `mailbox`?"),
    ("rules:\n  - if: {and: [{subject: x}]}\n    then: [ignore]", 2, 10, "unknown key `and`: did you mean `all`?"),
    ("rules:\n  - if: {or: [{subject: x}]}\n    then: [ignore]", 2, 10, "unknown key `or`: did you mean `any`?"),
    ("rules:\n  - if: {not: {subject: x}}\n    then: [ignore]", 2, 10, "unknown key `not`: did you mean `none`?"),
    ("rules:\n  - if: {subject: x}\n    then: [ignore]\n    else: [quarantine]", 4, 5, "unknown key `else`: there is no else: write another rule below, and `stop: true` in this one"),
    ("rules:\n  - when: {subject: x}\n    then: [ignore]", 2, 5, "unknown key `when`: did you mean `if`?"),
    ("rules:\n  - if: {subject: x}\n    actions: [ignore]", 3, 5, "unknown key `actions`: did you mean `then`?"),
    ("rules:\n  - then: [delete]", 2, 12, 'there is no action "delete": no mail is discarded here: `ignore` keeps it without a ticket, `quarantine` until somebody looks, {reject: text} refuses it'),
    ("rules:\n  - then: [{discard: true}]", 2, 13, "unknown key `discard`: no mail is discarded here: `ignore` keeps it without a ticket, `quarantine` until somebody looks, {reject: text} refuses it"),
    ("rules:\n  - then: [Ignore]", 2, 12, 'there is no action "Ignore": did you mean `ignore`?'),
    ("rules:\n  - then: [{rout: finance}]", 2, 13, "unknown key `rout`: did you mean `route`?"),
    ("rules:\n  - then: [ignroe]", 2, 12, 'there is no action "ignroe": did you mean `ignore`?'),
    ("rules:\n  - then: [{move: x}]", 2, 13, "unknown key `move`: did you mean `route`?"),
    ("rules:\n  - then: [{assign: {to: ann@acme.example}}]", 2, 22, "unknown key `to`: did you mean `agent`?"),
    ("rules:\n  - then: [{priority: high}]", 2, 13, "unknown key `priority`: fields of the ticket are set by `set`: {set: {priority: high}}"),
    ("attachments: {allow: {documents: [pdf]}}", 1, 23, "unknown key `documents`: there is no list for other files: all of them are taken, but those that `attachments.deny` names"),
    ("rules:\n  - if: {kind: reply}\n    then: [ignore]", 2, 16, '"reply" is not known here: known are answer, automatic, bounce, list, new'),
    ("rules:\n  - then: [{set: {priority: hi}}]", 2, 29, '"hi" is not known here: did you mean `high`?'),
    ("rules:\n  - then: [{assign: {team: support, strategy: round robin}}]", 2, 47, 'there is no strategy "round robin": did you mean `round-robin`?'),
    # true and false, sizes, durations
    ("accept: {acknowledge: yes}", 1, 23, "write true, not yes (yes, no, on and off are text)"),
    ("accept: {acknowledge: no}", 1, 23, "write false, not no (yes, no, on and off are text)"),
    ("accept: {acknowledge: on}", 1, 23, "write true, not on (yes, no, on and off are text)"),
    ("accept: {acknowledge: off}", 1, 23, "write false, not off (yes, no, on and off are text)"),
    ('rules:\n  - then: [ignore]\n    stop: "true"', 3, 11, "write true without quotes"),
    ("accept: {acknowledge: 1}", 1, 23, "write true, not 1 (yes, no, on and off are text)"),
    ("attachments: {max_bytes: 25M}", 1, 26, "a size is a number of bytes, or has a unit: 25MB (KB, MB, GB; 1 MB is 1,048,576 bytes)"),
    ("attachments:\n  max_bytes: 25,5MB", 2, 14, "a size is a number of bytes, or has a unit: 25MB (KB, MB, GB; 1 MB is 1,048,576 bytes)"),
    ("attachments: {max_bytes: 1TB}", 1, 26, "a size is a number of bytes, or has a unit: 25MB (KB, MB, GB; 1 MB is 1,048,576 bytes)"),
    ("attachments: {max_bytes: -1}", 1, 26, "a size is not negative"),
    ("accept:\n  forged: accept# hi", 2, 11, '"accept# hi" is not known here: did you mean `accept`?; a comment begins with a space and #'),
    ("accept:\n  forged: accept // hi", 2, 11, '"accept // hi" is not known here: did you mean `accept`?; a comment begins with a space and #'),
    ("attachments:\n  max_bytes: 25MB# hi", 2, 14, "a size is a number of bytes, or has a unit: 25MB (KB, MB, GB; 1 MB is 1,048,576 bytes); a comment begins with a space and #"),
    ("virus: {defer_at_most: 9:30}", 1, 24, "a duration is a number and a unit: 30s, 90m, 4h or 2d"),
    ("virus: {defer_at_most: 4}", 1, 24, "a duration is a number and a unit: 30s, 90m, 4h or 2d"),
    ("virus: {defer_at_most: 1h30m}", 1, 24, "a duration is a number and a unit: 30s, 90m, 4h or 2d"),
    ("virus: {defer_at_most: 4 hours}", 1, 24, "a duration is a number and a unit: 30s, 90m, 4h or 2d"),
    # names of the account
    ("rules:\n  - then: [{route: finnance}]", 2, 20, 'there is no team "finnance": did you mean `finance`?'),
    ("rules:\n  - then: [{route: Finance}]", 2, 20, 'there is no team "Finance": did you mean `finance`?'),
    ("rules:\n  - if: {mailbox: suport@acme.example}\n    then: [ignore]", 2, 19, 'there is no mailbox "suport@acme.example": did you mean `support@acme.example`?'),
    ("rules:\n  - if: {mailbox: support}\n    then: [ignore]", 2, 19, "an address has an @: write support@DOMAIN in full"),
    ("mailboxes:\n  billing: {}", 2, 3, '"billing" is no e-mail address (address must be local-part@domain): write name@domain'),
    ("rules:\n  - then: [{assign: anne@acme.example}]", 2, 21, 'there is no agent "anne@acme.example": did you mean `ann@acme.example`?'),
    ("rules:\n  - then: [{assign: Ann}]", 2, 21, '"Ann" is no e-mail address (address must be local-part@domain): write name@domain'),
    ("rules:\n  - then: [{assign: finance}]", 2, 21, '"finance" is a team, no agent: write {team: finance}'),
    ("rules:\n  - then: [{assign: {agent: Finance}}]", 2, 29, '"Finance" is a team, no agent: write {team: finance}'),
    ("rules:\n  - then: [{route: Ann@acme.example}]", 2, 20, '"Ann@acme.example" is an agent, no team: {assign: Ann@acme.example} gives tickets to an agent, {notify: [Ann@acme.example]} tells one'),
    ("rules:\n  - then: [{assign: nobody@acme.example}]", 2, 21, 'there is no agent "nobody@acme.example": known are ann@acme.example, bob@acme.example'),
    ("rules:\n  - then: [{assign: ann@other.example}]", 2, 21, 'there is no agent "ann@other.example": did you mean `ann@acme.example`?'),
    ("rules:\n  - if: {mailbox: info@acme.example}\n    then: [ignore]", 2, 19, 'there is no mailbox "info@acme.example": known are billing@acme.example, support@acme.example'),
    ("rules:\n  - then: [{route: sales}]", 2, 20, 'there is no team "sales": known are after-sales, finance, support'),
    ("rules:\n  - then: [{route: fin}]", 2, 20, 'there is no team "fin": did you mean `finance`?'),
    # matchers
    ("block:\n  - subject: {regex: 'a(?=b)'}", 2, 22, "look-around is not taken (invalid perl operator: (?=): use a second condition, under `all` or `none`"),
    ("block:\n  - subject: {regex: '(?<!a)b'}", 2, 22, "look-around is not taken (invalid perl operator: (?<!): use a second condition, under `all` or `none`"),
    ("block:\n  - subject: {regex: '(a)\\1'}", 2, 22, "there are no backreferences (invalid escape sequence: \\1): write the text again, or a second condition"),
    ("block:\n  - subject: {regex: '(?<x>a)(?P=x)'}", 2, 22, "there are no backreferences (invalid perl operator: (?P): write the text again, or a second condition"),
    ("block:\n  - subject: {regex: '(a'}", 2, 22, "a ( is not closed (missing ): (a): close it, or write \\( for the character itself"),
    ("block:\n  - subject: {regex: '[a'}", 2, 22, "a [ is not closed (missing ]: [a): close it, or write \\[ for the character itself"),
    ("block:\n  - subject: {regex: 'a)'}", 2, 22, "a ) closes nothing (unexpected ): a)): remove it, or write \\) for the character itself"),
    ("block:\n  - subject: {regex: 'a{5000}'}", 2, 22, "nothing is repeated more than 1000 times (invalid repetition size: {5000}): write a smaller number, or +"),
    ("block:\n  - subject: {regex: '*casino*'}", 2, 22, 'this is a wildcard, no regex: write {wildcard: "*casino*"}'),
    ("block:\n  - subject: {regex: 'a++'}", 2, 22, "possessive repetition is not taken (bad repetition operator: ++): RE2 never goes back, leave the second + out"),
    ("block:\n  - subject: {regex: '(?>a)'}", 2, 22, "atomic groups are not taken (invalid perl operator: (?>): RE2 never goes back, write (?:…)"),
    (r"block: [{subject: {regex: 'x{5,2}'}}]", 1, 27, "the smaller number stands first (invalid repetition size: {5,2}): write {2,5}"),
    (r"block: [{subject: {regex: '[z-a]'}}]", 1, 27, "this range goes backwards (invalid character class range: z-a): write a-z"),
    (r"block: [{subject: {regex: '\h'}}]", 1, 27, r"`\h` is not taken (invalid escape sequence: \h): a blank is [ \t]"),
    (r"block: [{subject: {regex: '\u00e9'}}]", 1, 27, r"`\u` is not taken (invalid escape sequence: \u): write the character itself, é, or \x{00e9}"),
    (r"block: [{subject: {regex: '\Z'}}]", 1, 27, r"`\Z` is not taken (invalid escape sequence: \Z): the end of the text is \z"),
    (r"block: [{subject: {regex: '\q'}}]", 1, 27, r"`\q` means nothing (invalid escape sequence: \q): write q for the character itself, \\ for a backslash"),
    (r"block: [{subject: {regex: '\x{110000}'}}]", 1, 27, r"this names no character (invalid escape sequence: \x{110000): write \x41 or \x{1F600}, in hexadecimal digits, at most 10FFFF"),
    (r"block: [{subject: {regex: 'a\'}}]", 1, 27, r"the \ at the end has nothing behind it (trailing \): remove it, or write \\ for the character itself"),
    (r"block: [{subject: {regex: '(?x)a b'}}]", 1, 27, "the flag x is not taken (invalid perl operator: (?x): leave it out; there are i, m, s and U; blanks and comments in a pattern count as themselves"),
    (r"block: [{subject: {regex: '(?#hi)a'}}]", 1, 27, "comments are not taken (invalid perl operator: (?#): leave (?#…) out, and write # behind a space at the end of the line, as in all YAML"),
    (r"block: [{subject: {regex: '(?i'}}]", 1, 27, "a ( is not closed (invalid perl operator: (?i): close it, as in (?i)casino"),
    (r"block: [{subject: {regex: '\p{Foo}'}}]", 1, 27, r"there is no class \p{Foo} (invalid character class range: \p{Foo}): write a script or a category of Unicode, \p{Greek} or \p{Lu}, or \pL for all letters"),
    (r"block: [{subject: {regex: '[[:foo:]]'}}]", 1, 27, "there is no class [:foo:] (invalid character class range: [:foo:]): write for example [[:alpha:]], [[:digit:]] or [[:space:]]"),
    (r"block: [{subject: {regex: '(?R)'}}]", 1, 27, "a pattern cannot stand in itself (invalid perl operator: (?R): write out what is repeated"),
    (r"block: [{subject: {regex: '(?|a)'}}]", 1, 27, "alternatives that share their groups are not taken (invalid perl operator: (?|): write (?:…)"),
    (r"block: [{subject: {regex: '(?(1)a)'}}]", 1, 27, "a pattern asks nothing of its own groups (invalid perl operator: (?(): write a list of two patterns"),
    (r"block: [{subject: {regex: 'a**'}}]", 1, 27, "what is repeated is not repeated again (bad repetition operator: **): leave the second one out"),
    ("block:\n  - subject: {regex: /casino/i}", 2, 22, "a regex is written without slashes around it: '(?i)casino'"),
    ("block:\n  - subject: ''", 2, 14, "this is empty: write a text, or remove the key"),
    ("block:\n  - subject: {contains: ''}", 2, 25, "this is empty: write a text, or remove the key"),
    ("block:\n  - subject: {contains: []}", 2, 25, "this list is empty: write something into it, or remove the key"),
    ("block:\n  - subject: {}", 2, 14, "a matcher has one of exact, wildcard, contains, regex: write a list for several of them"),
    ("block:\n  - subject:", 2, 5, "`subject` has no value: give it one, or remove the key"),
    ("block:\n  - sender: {wildcard: a@b.example}", 2, 24, 'a wildcard has * for any text or ? for one character; without one write {exact: "a@b.example"}, or {contains: "a@b.example"}'),
    ("block:\n  - sender: {wildcard: '@b.example'}", 2, 24, 'a wildcard has * for any text: write "*@b.example"'),
    ("block:\n  - sender: {wildcard: '%@b.example'}", 2, 24, 'a wildcard has * for any text: write "*@b.example"'),
    ("block:\n  - sender: '*@x.example'", 2, 13, 'a plain text is compared exactly; for a pattern write {wildcard: "*@x.example"}'),
    ("block:\n  - subject: '*casino*'", 2, 14, 'a plain text is compared exactly; for a pattern write {wildcard: "*casino*"}, for * itself {exact: "*casino*"}'),
    ("block:\n  - subject: {contains: '*casino*'}", 2, 25, '`contains` finds its text anywhere, and * as itself: write "casino"'),
    ("block:\n  - sender: x.example", 2, 13, 'an address has an @; for a whole domain write {wildcard: "*@x.example"}'),
    ("block:\n  - sender: '@x.example'", 2, 13, 'an address has an @; for a whole domain write {wildcard: "*@x.example"}'),
    ("block:\n  - sender: 'Bob <bob@x.example>'", 2, 13, "only the address is compared, not the name with it: write bob@x.example"),
    ("block:\n  - header: {'X-Spam:': yes}", 2, 13, '"X-Spam:" is no name of a header field: write it without colon and spaces'),
    # what could never hold
    ("rules:\n  - if: {ticket: {state: open}}\n    then: [ignore]", 2, 10, "this never holds: a rule that does not name `kind` sees new mail alone, which has no ticket; write `kind: answer` beside `ticket`, or let new mail join an open one by accept: {join_open_ticket: 7d}"),
    ("rules:\n  - if:\n      any: [{subject: x}, {ticket: {tag: vip}}]\n    then: [ignore]", 3, 28, "this never holds: a rule that does not name `kind` sees new mail alone, which has no ticket; write `kind: answer` beside `ticket`, or let new mail join an open one by accept: {join_open_ticket: 7d}"),
    ("teams: {finance: {rules: [{if: {all: [{ticket: {tag: vip}}]}, stop: true}]}}", 1, 40, "this never holds: a rule that does not name `kind` sees new mail alone, which has no ticket; write `kind: answer` beside `ticket`, or let new mail join an open one by accept: {join_open_ticket: 7d}"),
    ("rules: [{if: {kind: answer, ticket: {state: solved}}, stop: true}]", 1, 45, 'no ticket is ever "solved": did you mean `closed`?'),
    ("rules: [{if: {kind: answer, ticket: {state: [open, {wildcard: 'x*'}]}}, stop: true}]", 1, 45, 'no ticket is ever "x*": it is open, pending or closed'),
    ("rules: [{if: {kind: answer, ticket: {team: finanse}}, stop: true}]", 1, 44, 'there is no team "finanse": did you mean `finance`?'),
    ("block:\n  - sender: a@", 2, 13, '"a@" is no whole address (address must be local-part@domain): write name@domain, or {contains: "a@"}'),
    ("block:\n  - sender: a b@x.example", 2, 13, '"a b@x.example" is no whole address (malformed local part): write name@domain, or {contains: "a b@x.example"}'),
    ("block:\n  - recipient: 'a@x..example'", 2, 16, '"a@x..example" is no whole address (malformed domain): write name@domain, or {contains: "a@x..example"}'),
    ("block:\n  - header: {X-Spam: '*'}", 2, 22, 'a plain text is compared exactly; for any text at all write {wildcard: "*"}, for * itself {exact: "*"}'),
    ("block:\n  - language: xx", 2, 15, '"xx" is the tag of no language (ISO 639): write en, de or pt-BR'),
    ("block:\n  - language: cn", 2, 15, '"cn" is the tag of no language (ISO 639): write zh'),
    ("block:\n  - language: deu-AT", 2, 15, '"deu-AT" is the tag of no language (ISO 639): write de-AT'),
    ("rules:\n  - then: [{set: {language: xx}}]", 2, 29, '"xx" is the tag of no language (ISO 639): write en, de or pt-BR'),
    # names and tags
    (f"rules:\n  - name: {'x' * 201}\n    then: [ignore]", 2, 11, "the name of a rule has at most 200 characters, this has 201: shorten it"),
    ("rules:\n  - name: abc\u202edef\n    then: [ignore]", 2, 11, "the name of a rule has no control characters and no marks of direction: remove U+202E"),
    ('rules:\n  - name: "a\\nb"\n    then: [ignore]', 2, 11, "the name of a rule is one line: remove the line break"),
    ('rules:\n  - name: "a\\u0007"\n    then: [ignore]', 2, 11, "the name of a rule has no control characters and no marks of direction: remove U+0007"),
    (f"rules:\n  - then: [{{tag: [vip, {'x' * 101}]}}]", 2, 24, "a tag has at most 100 characters, this has 101: shorten it"),
    ("rules:\n  - then:\n      - tag: |\n          a\n          b", 3, 14, "a tag is one line: remove the line break"),
    # types of files
    ("attachments: {deny: [exee]}", 1, 22, '"exee" is not known: did you mean `exe`? If files end so, write it with the dot: .exee'),
    ("attachments: {deny: ['*.exe']}", 1, 22, '"*.exe" is no file type: write exe'),
    ("attachments: {deny: [application/pdf]}", 1, 22, '"application/pdf" is no file type: write pdf'),
    ("block:\n  - attachment: exe", 2, 17, "a mapping is wanted here: write {type: exe}, {name: matcher} or {bytes_over: 5MB}"),
    ("block:\n  - attachment: {type: executable}", 2, 24, '"executable" is a kind of files: name the types, for example exe, dll, bat, scr'),
    ("attachments:\n  deny: exe, dll", 2, 9, '"exe, dll" is no file type: write a list: [exe, dll]'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "message"), MISTAKES, ids=[m[0][:40] for m in MISTAKES])
def test_a_first_mistake_is_told_with_its_place_and_its_cure(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(text, KNOWN)
    first = caught.value.problems[0]
    assert (first.line, first.column, first.message) == (line, column, message)


def test_other_mistakes_hide_no_rule_that_could_never_hold() -> None:
    ticket = "{if: {ticket: {tag: vip}}, stop: true}"
    with pytest.raises(PolicyError) as caught:
        load(f"rules: [{ticket}, {{if: {{kind: answer, ticket: {{state: solved}}}}, stop: true}}]")
    assert [p.message.split(":")[0] for p in caught.value.problems] == [
        "this never holds",
        'no ticket is ever "solved"',
    ]


def test_without_an_account_a_word_for_an_agent_may_be_a_team() -> None:
    with pytest.raises(PolicyError, match=r"an agent is name@domain, a team \{team: finance\}$"):
        load("rules: [{then: [{assign: finance}]}]")


def test_the_keys_that_are_told_by_what_they_take_are_those_of_the_language() -> None:
    parts = schema()["$defs"].values()
    known = {key for part in (schema(), *parts) for key in part.get("properties", ())}
    assert known >= TAKE_A_LIST | TAKE_A_MAPPING | TAKE_A_WORD


GOOD = {
    "a byte order mark": "\ufeffrules: []",
    "Windows' line ends": "rules:\r\n  - then: [ignore]\r\n",
    "JSON": '{"rules": [{"if": {"subject": {"contains": "x"}}, "then": ["ignore"]}]}',
    "JSON with a comma too many": '{"rules": [{"then": ["ignore"]},]}',
    "a comment right behind a bracket": "accept: {forged: accept}# as agreed",
    "a time without quotes": "block: [{subject: 9:30}]",
    "a word YAML 1.1 took for false": "block: [{subject: no}]",
    "one type where a list may stand": "attachments: {deny: exe}",
    "a list of words to be contained": "block: [{subject: {contains: [casino, lottery]}}]",
    "sizes in four spellings": "mailboxes: {a@b.example: {attachments: {max_bytes: 25 MB, max_inline_bytes: 25mib}}}",
    "an apostrophe inside": "block: [{subject: don't}]",
    "curly quotes inside straight ones": 'block: [{subject: "“Win now”"}]',
    "asterisks that are meant": "block: [{subject: {contains: '***'}}, {subject: {exact: '*new*'}}]",
    "an extension nobody knows, with its dot": "attachments: {deny: [.exee]}",
    "no-break spaces inside a text": "block: [{subject: À\u00a0saisir !}]",
    "lists that are not indented": "rules:\n- name: a\n  if: {subject: x}\n  then:\n  - ignore",
    "the directive of the YAML it is written in": "%YAML 1.2\n---\nbody: html",
    "a state in capitals, and by its beginning": "rules: [{if: {kind: answer, ticket: {state: [Open, {wildcard: 'p*'}]}}, stop: true}]",
    "a ticket where new mail joins one": "accept: {join_open_ticket: true}\nrules: [{if: {ticket: {state: open}}, stop: true}]",
    "a ticket where new mail to one mailbox joins one": "mailboxes: {a@b.example: {accept: {join_open_ticket: 2d}}}\nrules: [{if: {ticket: {state: open}}, stop: true}]",
    "a rule's name of 200 characters, in Arabic": f"rules: [{{name: {'س' * 200}, stop: true}}]",
    "a tag of 100 characters with an emoji in it": f"rules: [{{then: [{{tag: {'x' * 97}👩\u200d🔧}}]}}]",
    "a star that is meant": "block: [{header: {X: {exact: '*'}}}]",
    "any text": "block: [{header: {X: {wildcard: '*'}}}]",
    "a language without a code of two letters": "block: [{language: [nds, gsw-CH]}]",
    "an address with stray dots": "block: [{sender: a..b.@docomo.example}]",
    "no ticket": "rules: [{if: {none: [{ticket: {state: {wildcard: '*'}}}]}, stop: true}]",
    "a ticket beside `kind` in another clause": "rules: [{if: {all: [{ticket: {tag: a}}, {kind: answer}]}, stop: true}]",
    "nothing": "",
}


def test_a_rule_that_could_never_hold_stays_good_where_it_is_published() -> None:
    for text in (
        "ticket: {state: open}", "ticket: {state: solved}", "ticket: {team: finanse}", "sender: a@", "header: {X: '*'}",
        "language: xx",
    ):  # fmt: skip
        load_published(f"rules: [{{if: {{{text}}}, stop: true}}]")
    load_published(f"rules: [{{name: {'x' * 5000}, then: [{{tag: {'y' * 5000}}}]}}]")


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_only_looks_odd_is_taken(text: str) -> None:
    load(text)


def test_a_document_too_large_is_told_before_it_is_read() -> None:
    with pytest.raises(PolicyError, match=r"^line 1, column 1: the document has 262145 bytes, more than 262144"):
        load("#" * (256 * 1024 + 1))


@pytest.mark.parametrize("unit", ["k{}:\n", "- #x{}\n", "a{}: {{b: c, d}}\n", "[", "x{}: 'y\n", "rules: [{{x{}: [\n"])
def test_a_hundred_thousand_mistakes_are_told_in_seconds(unit: str) -> None:
    text = "".join(unit.format(n) for n in range(100_000))[: 256 * 1024]
    with pytest.raises(PolicyError) as caught:
        load(text)
    assert len(str(caught.value).splitlines()) <= 51
