"""Where the templates lie."""

from __future__ import annotations

from pathlib import Path

import gateway
from gateway.core.errors import InvalidInput


def templates_folder() -> Path:
    """The folder `templates`: inside the package when it was installed from a wheel, else beside it in the repository.

    Raises InvalidInput when neither is there (a broken installation).
    """
    package = Path(gateway.__file__).resolve().parent
    for folder in (package / "templates", package.parent / "templates"):
        if (folder / "notifications").is_dir():
            return folder
    raise InvalidInput(f"no templates found in {package} nor beside it: install the gateway again from its wheel")
