"""Makes tests/campaigns/caniemail.json anew: which HTML and CSS Gmail, Outlook and Apple Mail do not show, as caniemail.com tested.

npm pack caniemail@1.0.5 && tar xzf caniemail-1.0.5.tgz
.venv/bin/python -m scripts.caniemail package/data/caniemail.json
"""

import argparse
import json
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "tests" / "campaigns" / "caniemail.json"
CLIENTS = ("gmail", "outlook", "apple-mail")
GONE = {("outlook", "windows-mail")}


def main() -> None:
    """Write the extract from the package's data."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    data = json.loads(parser.parse_args().file.read_text(encoding="utf-8"))
    about = {
        "source": "https://www.caniemail.com, npm package caniemail 1.0.5: each feature and where its newest test failed",
        "licence": "MIT, Copyright Remi Parmentier, Avi Goldman, Andrew Powell",
        "tested": data["last_update_date"][:10],
    }
    features = {each["slug"]: unsupported(each["stats"]) for each in data["data"]}
    lines = [f'  "{slug}": {json.dumps(where)}' for slug, where in sorted(features.items())]
    head = json.dumps(about, indent=1)[:-2]
    FILE.write_text(head + ',\n "features": {\n' + ",\n".join(lines) + "\n }\n}\n", encoding="utf-8")


def unsupported(stats: dict[str, dict[str, dict[str, str]]]) -> list[str]:
    """Return the clients whose newest test says no, as gmail/android."""
    return [
        f"{client}/{platform}"
        for client in CLIENTS
        for platform, versions in stats.get(client, {}).items()
        if (client, platform) not in GONE and list(versions.values())[-1].startswith("n")
    ]


if __name__ == "__main__":
    main()
