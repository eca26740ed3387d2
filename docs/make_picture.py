"""Draws docs/trace.svg: what `gateway trace` shows of the demo's first message. Run it while `./dev run` serves.

.venv/bin/python docs/make_picture.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
GATEWAY = [sys.executable, "-m", "gateway", "--config", str(ROOT / "var" / "demo" / "gateway.toml")]


def main() -> None:
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": "118"}
    log = json.loads(subprocess.run([*GATEWAY, "log", "--json"], check=True, capture_output=True).stdout)
    shown = subprocess.run(
        [*GATEWAY, "trace", log[0]["trace"]], check=True, capture_output=True, text=True, env=environment
    ).stdout.replace(str(ROOT) + "/", "")
    console = Console(record=True, width=118, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(Text(f"$ gateway trace {log[0]['trace']}", style="bold"))
    console.print(Text.from_ansi(shown))
    drawing = console.export_svg(title="gateway trace").replace("<svg ", '<svg xml:space="preserve" ', 1)
    # the picture loads nothing from elsewhere: the reader's own monospace font serves
    drawing = re.sub(r"@font-face \{.*?\}\s*", "", drawing, flags=re.DOTALL).replace(
        "Fira Code, monospace", "monospace"
    )
    (ROOT / "docs" / "trace.svg").write_text(drawing, "utf-8")


if __name__ == "__main__":
    main()
