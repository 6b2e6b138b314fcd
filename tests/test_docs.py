"""The pages for readers: their links lead somewhere, and their pictures are small."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
PICTURES = sorted(path for path in ROOT.glob("docs/*") if path.suffix in {".png", ".gif", ".svg"})
CODE = re.compile(r"(?ms)^ *```.*?^ *```|`[^`\n]*`")


def anchors(page: Path) -> set[str]:
    """Those that GitHub gives to a page's headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^ *```.*?^ *```", "", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", CODE.sub("`code`", page.read_text("utf-8")))
    for link in (link for link in links if "://" not in link):
        name, _, anchor = link.partition("#")
        to = (page.parent / name).resolve() if name else page
        assert to.exists(), f"{page.name}: {link} leads nowhere"
        assert not anchor or anchor in anchors(to), f"{page.name}: {link}: {to.name} has no such heading"


def test_the_readme_leads_to_every_page_and_shows_every_picture() -> None:
    """Or a page does that the README leads to."""
    known = "".join(page.read_text("utf-8") for page in PAGES)
    shown = {Path(link.partition("#")[0]).name for link in re.findall(r"\]\(([^)\s]+)\)", known)}
    assert {path.name for path in [*PAGES, *PICTURES]} <= shown


def test_pictures_are_quick_to_load() -> None:
    sizes = {path.name: path.stat().st_size for path in PICTURES}
    assert max(sizes.values()) < 400_000, sizes
    assert sum(sizes.values()) < 1_500_000, sizes


def test_every_setting_is_on_its_page() -> None:
    """Each that our code names; ``STAFFCALL_COMPLETE`` is of the shell's completion."""
    code = "".join(path.read_text("utf-8") for path in ROOT.glob("infra/**/*.py"))
    named = set(re.findall(r"\bSTAFFCALL_[A-Z_]+\b", code)) - {"STAFFCALL_COMPLETE"}
    assert named
    page = (ROOT / "docs/settings.md").read_text("utf-8")
    assert {name for name in named if f"`{name}`" not in page} == set()


def test_all_that_the_page_of_where_it_comes_from_names_is_there() -> None:
    """Each file, and each test in it: of ours a function, of the pages' what ``it`` says."""
    named = re.findall(
        r"`([a-z_]+/[^`\s]*?\.\w+)(?:::([^`]+))?`", (ROOT / "docs/lineage.md").read_text("utf-8")
    )
    assert len([test for _, test in named if test]) > 40
    for file, test in named:
        assert (ROOT / file).is_file(), file
        said = f"\ndef {test}(" if file.endswith(".py") else f'it("{test}"'
        assert not test or said in (ROOT / file).read_text("utf-8"), f"{file}: {test}"


def test_every_row_of_that_page_names_a_file_and_a_test() -> None:
    rows = re.findall(
        r"(?m)^\| (?!idea|---)(.+) \| (.+) \| (.+) \|$", (ROOT / "docs/lineage.md").read_text("utf-8")
    )
    assert len(rows) > 25
    assert [
        idea for idea, where, test in rows if "`" not in where or not re.search(r"::|make bench", test)
    ] == []
