"""The gate `audit`: known vulnerabilities among the locked packages. Says how many could be looked up; found ones fail, unreached are told.

EXCUSED names what is known and does not concern us, each with its reason; an entry that is no longer found fails too, so that it goes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXCUSED: dict[str, str] = {}  # advisory id: why it does not concern us


def ask(arguments: list[str]) -> list[dict[str, Any]]:
    """pip-audit's own list of packages, with "vulns" or "skip_reason"."""
    command = [str(Path(sys.executable).parent / "pip-audit"), "--disable-pip", "--require-hashes", "-f", "json"]
    command += ["--progress-spinner", "off", "-r", str(ROOT / "requirements.lock"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except (json.JSONDecodeError, KeyError):
        print(done.stderr.strip().splitlines()[-1] if done.stderr else "pip-audit said nothing")  # noqa: T201
        return []


def main(arguments: list[str]) -> int:
    packages = ask(arguments)
    seen = [package for package in packages if "skip_reason" not in package]
    found = {advisory["id"]: package for package in packages for advisory in package.get("vulns", ())}
    for advisory, package in sorted(found.items()):
        print(f"{package['name']} {package['version']}: {advisory} {EXCUSED.get(advisory, 'is not excused')}")  # noqa: T201
    gone = sorted(set(EXCUSED) - set(found)) if seen else []
    for advisory in gone:
        print(f"{advisory} is excused and no longer found: take it out.")  # noqa: T201
    left = len(packages) - len(seen)
    print(f"{len(seen)} of {len(packages) or 'all'} locked packages looked up, {left or 'none'} left out")  # noqa: T201
    unreached = not seen and os.environ.get("FLEXGATE_ALL_TOOLS") == "1"
    if unreached:
        print("No advisory service was reached, and FLEXGATE_ALL_TOOLS=1 wants one.")  # noqa: T201
    return 1 if set(found) - set(EXCUSED) or gone or unreached else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
