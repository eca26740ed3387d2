"""`gateway demo`: the gateway with an example company, its customers and a spoofer, all on this machine."""

from gateway.demo.show import run

__all__ = ["run"]
