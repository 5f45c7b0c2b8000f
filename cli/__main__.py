"""The `lapwing` command: errors Lapwing raises on purpose are one sentence, everything else crashes."""

import sys

from core.errors import LapwingError, SettingsError
from core.logging import configure_logging


def main() -> None:
    """Run the command line."""
    from cli.app import app

    configure_logging()
    try:
        app(prog_name="lapwing")
    except SettingsError as error:
        print(f"lapwing: {error}", file=sys.stderr)
        sys.exit(2)
    except LapwingError as error:
        print(f"lapwing: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
