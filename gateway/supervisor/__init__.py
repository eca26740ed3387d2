"""The parent process: owns the listening sockets and the role locks, starts the workers, starts them again when they die.

Standard library only: it must not fail for reasons of ours.
"""

from gateway.supervisor.group import Supervisor
from gateway.supervisor.listeners import listen
from gateway.supervisor.locks import RoleLocks
from gateway.supervisor.slots import ROLES
from gateway.supervisor.systemd import ServiceManager

__all__ = ["ROLES", "RoleLocks", "ServiceManager", "Supervisor", "listen"]
