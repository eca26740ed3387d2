"""The example company's account: what an admin would type."""

from __future__ import annotations

from gateway.commands import accounts
from gateway.commands.publish import publish
from gateway.demo.world import ACCOUNT, COMPANY
from gateway.ground import open_ground
from gateway.settings import Settings
from gateway.store import named
from gateway.store.changes import NewAccount, NewMailbox
from gateway.store.team_changes import NewAgent

POLICY = """\
rules:
  - name: billing goes to finance
    if: {mailbox: billing@acme.example}
    then: [{route: finance}]
  - name: leaks are urgent
    if: {subject: {contains: leak}}
    then:
      - set: {priority: high}
      - assign: {team: support, strategy: round-robin}
"""


def set_up_account(demo: Settings) -> None:
    """An account, teams, agents, two mailboxes, a policy."""
    ground = open_ground(demo)
    store = ground.store
    accounts.add_account(
        store, ground.secret, demo, NewAccount("", ACCOUNT, "Acme Pumps", "", b"", "", first_number=1001)
    )
    account_id = named.account_id(store, ACCOUNT)
    accounts.add_team(store, account_id, "finance")
    for name, team in (("ann", "support"), ("bob", "support"), ("fay", "finance")):
        accounts.add_agent(store, demo, account_id, NewAgent(f"{name}@{COMPANY}", name.capitalize(), (team,)))
    for local, name, team in (("support", "Acme Support", "support"), ("billing", "Acme Billing", "finance")):
        new = NewMailbox(f"{local}@{COMPANY}", name, None, team=team, default=local == "support")
        accounts.add_mailbox(store, demo, account_id, ACCOUNT, new)
    publish(store, account_id, POLICY, note="the example", author="demo")
    ground.close()
