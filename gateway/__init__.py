"""The inbound mail gateway that support teams trust. Start reading at `gateway/intake.py`."""

__version__ = "0.1.0"
