"""Builds the kiosk anew and says whether the committed bundle is that very build."""

import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

SPA = Path(__file__).resolve().parents[1] / "spa"


def differences(one: Path, other: Path) -> list[str]:
    """Files that only one has, or whose bytes differ."""
    names = {
        str(path.relative_to(root)) for root in (one, other) for path in root.rglob("*") if path.is_file()
    }
    _, differing, missing = filecmp.cmpfiles(one, other, sorted(names), shallow=False)
    return sorted(differing + missing)


def main() -> None:
    """Exit 1 with the names of the files that are not what the sources give."""
    with tempfile.TemporaryDirectory() as fresh:
        build = [
            "npm",
            "run",
            "--silent",
            "build",
            "--",
            "--outDir",
            fresh,
            "--emptyOutDir",
            "--logLevel",
            "warn",
        ]
        subprocess.run(build, cwd=SPA, check=True)
        stale = differences(SPA / "dist", Path(fresh))
    if stale:
        sys.exit(
            f"spa/dist is not what spa/src builds: run 'make spa' and commit it. Differs: {', '.join(stale)}"
        )
    print("spa/dist is what spa/src builds")


if __name__ == "__main__":
    main()
