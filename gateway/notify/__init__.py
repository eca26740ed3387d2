"""How the gateway speaks: from a `Notice` to bytes, from bytes to another server's reply.

    compose(notice, tokens, templates)   a notification in the mailbox's identity, as the bytes every attempt sends
    sign(content, domain, selector, key) those bytes with a DKIM-Signature of the account's domain
    deliver(relay, ...)                  one attempt, always ending in a `Delivery`

`compose` is the one gate for outgoing mail: nothing from a message or an account meets a header but through
`headers.py`. `deliver` checks the finished bytes once more, whoever wrote them.
"""
