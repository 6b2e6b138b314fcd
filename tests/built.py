"""Builds the kiosk anew and says whether the committed bundle is that very build, and small enough."""

import filecmp
import gzip
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SPA = Path(__file__).resolve().parents[1] / "spa"
MOST = 150_000  # bytes, as gzip sends them: what a screen loads before it shows anything


def differences(one: Path, other: Path) -> list[str]:
    """Files that only one has, or whose bytes differ."""
    names = {
        str(path.relative_to(root)) for root in (one, other) for path in root.rglob("*") if path.is_file()
    }
    _, differing, missing = filecmp.cmpfiles(one, other, sorted(names), shallow=False)
    return sorted(differing + missing)


def weight(dist: Path) -> int:
    """Bytes of the kiosk's page and of all that it names, each compressed."""
    page = (dist / "index.html").read_text("utf-8")
    names = {"index.html", *re.findall(r'(?:src|href)="\./([^"]+)"', page)}
    return sum(len(gzip.compress((dist / name).read_bytes())) for name in names)


def main() -> None:
    """Exit 1 if the kiosk is too large, or with the names of the files that are not what the sources give."""
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
    if (bytes_ := weight(SPA / "dist")) > MOST:
        sys.exit(f"the kiosk is too large: expected at most {MOST:,} bytes of gzip, got {bytes_:,}")
    print(f"the kiosk: {bytes_:,} bytes of gzip")
    print("spa/dist is what spa/src builds")


if __name__ == "__main__":
    main()
