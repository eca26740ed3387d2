"""Delivers what the committer owes: claim, render once, attempt, record."""
