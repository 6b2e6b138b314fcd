"""The report as one page: figures, pictures and tables, with nothing to load and no script.

The pictures are SVG by pygal. What would need a script there, or a style that is written at an element, is taken out, so
that the page says in its own policy what it holds, and a browser shows nothing else.
"""

import base64
import hashlib
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pygal import Bar, Config, HorizontalBar, StackedBar
from pygal.style import Style

from infra.figures import Figures, Leg, Told, by_booth, by_hour, by_person, overall

# For maps, which are not drawn here, pygal puts an importer there of a kind that Python warns of at every failing import.
sys.meta_path[:] = [each for each in sys.meta_path if type(each).__module__ != "pygal"]

FOLDER: Final = Path(__file__).parent
FONT: Final = "system-ui, sans-serif"
# Told apart also by who cannot tell red from green: near to Okabe and Ito's palette, light behind dark figures.
ANSWERED, MISSED, NEITHER, HALF, MOST = "#35b38d", "#d55e00", "#c8c8c8", "#56a5d8", "#e9a92b"
WIDTH: Final = 720
BAR: Final = 46  # pixels of a row in a picture that lies
SLOW_S: Final = 10  # from here on a time is written without its tenths
SHARES: Final = ("half within", "nine of ten within")


def page_of(told: Sequence[Told]) -> str:
    """The page."""
    figures = overall(told)
    hours, booths, people = _day(by_hour(told)), by_booth(told), by_person(told)
    style = (FOLDER / "report.css").read_text("utf-8")
    drawn = list(drawings(told).values())
    there = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    return there.get_template("report.html").render(
        policy=_policy([style, *(text for _, text in drawn)]),
        style=Markup(style),  # noqa: S704 - our own file
        pictures=[svg for svg, _ in drawn],
        span=_span(told),
        all=figures,
        response=figures.spread(Leg.RESPONSE),
        legs=list(Leg),
        groups=[("Person", people), ("Booth", booths), ("Hour", [each for each in hours if each.calls])],
    )


def drawings(told: Sequence[Told]) -> dict[str, tuple[Markup, str]]:
    """The pictures, by title: each as SVG, and the text of the style in it."""
    hours, booths, people = _day(by_hour(told)), by_booth(told), by_person(told)
    pictures = [_counts(hours), _times("Press to ok by hour, seconds", Bar, hours)] if told else []
    for title, group in (("booth", booths), ("person", people)):
        if any(each.spread(Leg.RESPONSE) for each in group):
            pictures.append(_times(f"Press to ok by {title}, seconds", HorizontalBar, group))
    return {each.config.title: _drawn(each, n) for n, each in enumerate(pictures)}


def _day(hours: Sequence[Figures]) -> list[Figures]:
    """Every hour from the first to the last: a gap is a gap in the picture, too."""
    if not hours:
        return []
    known = {int(each.of[:2]): each for each in hours}
    empty = {leg: [] for leg in Leg}  # type: dict[Leg, list[float]]
    return [
        known.get(hour) or Figures(of=f"{hour:02}:00", calls=0, answered=0, missed=0, times=empty)
        for hour in range(min(known), max(known) + 1)
    ]


def _span(told: Sequence[Told]) -> str:
    if not told:
        return "No calls yet."
    ends = (datetime.fromtimestamp(at / 1000).astimezone() for at in (told[0].at, told[-1].at))
    return " – ".join(f"{each:%Y-%m-%d %H:%M}" for each in ends)


# --- Pictures


def _chart(kind: Any, title: str, colours: Sequence[str], **more: Any) -> Any:
    style = Style(
        background="transparent",
        plot_background="transparent",
        colors=colours,
        font_family=FONT,
        title_font_size=18,
        label_font_size=13,
        major_label_font_size=13,
        legend_font_size=13,
        value_font_size=12,
        opacity="1",
        guide_stroke_color="#ddd",
        guide_stroke_dasharray="0",
        major_guide_stroke_color="#ddd",
        major_guide_stroke_dasharray="0",
        value_colors=("#222",) * 3,
    )
    config = Config(
        js=(), width=WIDTH, title=title, style=style, legend_at_bottom=True, legend_at_bottom_columns=len(colours), margin=8, print_values=True,
        tooltip_fancy_mode=False, truncate_label=24, show_y_guides=True,
        **more,
    )  # fmt: skip
    return kind(config)


def _counts(hours: Sequence[Figures]) -> Any:
    chart = _chart(StackedBar, "Calls by hour", (ANSWERED, MISSED, NEITHER), height=320)
    chart.x_labels = [each.of for each in hours]
    chart.formatter = lambda count: f"{count:g}" if count else ""
    chart.add("answered", [each.answered for each in hours])
    chart.add("missed", [each.missed for each in hours])
    chart.add("taken back, or under way", [each.calls - each.answered - each.missed for each in hours])
    return chart


def _times(title: str, kind: Any, group: Sequence[Figures]) -> Any:
    lies = kind is HorizontalBar
    # What lies is drawn from the bottom up.
    shown = list(reversed(group)) if lies else list(group)
    chart = _chart(kind, title, (HALF, MOST), height=120 + BAR * len(shown) if lies else 320)
    chart.x_labels = [each.of for each in shown]
    chart.formatter = lambda time_s: f"{time_s:.0f}" if time_s >= SLOW_S else f"{time_s:.1f}"
    spreads = [each.spread(Leg.RESPONSE) for each in shown]
    for n, share in enumerate(SHARES):
        chart.add(share, [spread and spread[n] for spread in spreads])
    return chart


def _drawn(chart: Any, n: int) -> tuple[Markup, str]:
    """A picture to stand in a page, and the text of its style."""
    chart.uuid = f"picture-{n}"  # else the same figures would not be the same page
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag == "script" or _is_tip(child):
                parent.remove(child)
        parent.attrib.pop("style", None)
    root.set("role", "img")
    root.set("aria-label", chart.config.title)
    [style] = [each.text for each in root.iter("style")]
    return Markup(ET.tostring(root, encoding="unicode")), style  # noqa: S704 - its texts are escaped


def _is_tip(node: ET.Element) -> bool:
    return "tooltip" in node.get("class", "").split()


def _policy(styles: Iterable[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in styles)
    allowed = " ".join(f"'sha256-{each}'" for each in digests)
    return f"default-src 'none'; style-src {allowed}; base-uri 'none'; form-action 'none'"
