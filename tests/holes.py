"""``make audit``: known holes in what Staff Call needs to run, as the Python Package Index knows them.

It ends with 1 if there is a hole, and with 2 if something could not be looked up, such as without the internet: then
nobody may say that all is well.
"""

import json
import subprocess
import sys
from pathlib import Path

PINS = Path(__file__).resolve().parents[1] / "requirements.txt"
COMMAND = ("pip-audit", "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "-r")


def main() -> int:
    """Ask, and say what came of it."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name(COMMAND[0])), *COMMAND[1:], str(PINS)],
        check=False,
        capture_output=True,
        text=True,
    )
    try:
        looked_up = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(*done.stderr.strip().splitlines()[-1:], file=sys.stderr)
        print("Nothing was looked up: the Python Package Index is not reached.", file=sys.stderr)
        return 2
    return verdict(looked_up)


def verdict(looked_up: list[dict[str, object]]) -> int:
    """Say what was found; the answer is the exit status."""
    holes = [(each, hole) for each in looked_up for hole in each.get("vulns") or ()]
    unknown = [f"{each['name']}: {each['skip_reason']}" for each in looked_up if "skip_reason" in each]
    for each, hole in holes:
        mended = ", ".join(hole["fix_versions"]) or "no version yet"
        print(f"{each['name']} {each['version']}: {hole['id']}, mended in {mended}")
    for line in unknown[:3]:  # where nothing is reached it is the same for all
        print(line, file=sys.stderr)
    done = len(looked_up) - len(unknown)
    print(f"{done} of {len(looked_up)} packages were looked up; {len(holes)} known holes.")
    if unknown:
        print("What was not looked up may have holes: try again where pypi.org is reached.", file=sys.stderr)
    return 1 if holes else 2 if unknown or not looked_up else 0


if __name__ == "__main__":
    sys.exit(main())
