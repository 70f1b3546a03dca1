"""Is the text on the site legible? Check the contrast of its colours in the light and dark themes.

The contrast of two colours is (a + 0.05) / (b + 0.05), where a is the luminance of the lighter
colour and b that of the darker one; text needs a contrast of at least 4.5 (Web Content
Accessibility Guidelines 2.2, 1.4.3). The colours are read from the style sheets of the built site:
the variables of the theme, the highlighted code, and the rules in `docs/static`. This module does
not need Sphinx.
"""

import re
from pathlib import Path

ENOUGH = 4.5
THEMES = ("light", "dark")
BACKGROUNDS = ("--color-background-primary", "--color-background-secondary", "--code")
OWN = Path(__file__).resolve().parents[1] / "static"


def luminance(colour):
    """The luminance of "#abc" or "#aabbcc", from 0 for black to 1 for white."""
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    shares = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    r, g, b = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one, other):
    """The contrast of two colours, from 1 to 21.

    >>> contrast("#000", "#ffffff"), round(contrast("#888", "#fafae2"), 2)
    (21.0, 3.35)
    """
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def rules(css):
    """Every (selector, {property: value}) in a style sheet, including those in @media blocks."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", css):
        pairs = (line.split(":", 1) for line in body.split(";") if ":" in line)
        yield selector.strip(), {name.strip(): value.strip() for name, value in pairs}


def is_of(theme, selector):
    """Whether a rule belongs to a theme; rules that name no theme belong to the light one."""
    dark = re.search(r"data-theme=\"?dark|not\(\[data-theme=\"?light", selector) is not None
    return dark == (theme == "dark")


def variables(furo, pygments, theme):
    """The variables of the theme, with `--code` for the background of code."""
    found = {}
    for part in THEMES[: THEMES.index(theme) + 1]:  # the dark theme overrides some variables
        for selector, values in rules(furo):
            if selector.startswith("body") and is_of(part, selector):
                found |= {name: value for name, value in values.items() if name.startswith("--")}
        for selector, values in rules(pygments):
            if selector.endswith(".highlight") and is_of(part, selector):
                found["--code"] = values["background"]
    return found


def resolved(value, known):
    """A value with its variables replaced, as "#abc"; None if it is not such a colour."""
    while (name := re.match(r"var\(\s*(--[\w-]+)", value or "")) is not None:
        value = known.get(name[1])
    return value if re.fullmatch(r"#(\w{3}|\w{6})", value or "") else None


def faults(furo, pygments, own):
    """Describe every text colour with too little contrast.

    furo, pygments: the style sheets of the theme and of the highlighted code; own: our own style
    sheets, by name. Text in a rule without a background must be legible on the background of the
    page, of boxes and of code.
    """
    for theme in THEMES:
        known = variables(furo, pygments, theme)
        code = [r for r in rules(pygments) if is_of(theme, r[0]) and ".highlight" in r[0]]
        checked = [("code", *rule, ("--code",)) for rule in code]
        for name, css in own.items():
            checked += [(name, *rule, BACKGROUNDS) for rule in rules(css)]
        for name, selector, values, backgrounds in checked:
            text = resolved(values.get("color"), known)
            behind = values.get("background-color", values.get("background"))
            behind = [behind] if resolved(behind, known) else [f"var({b})" for b in backgrounds]
            for background in behind if text else []:
                found = contrast(text, resolved(background, known))
                if found < ENOUGH:
                    yield (
                        f"{name}, {theme}: {selector} has a contrast of {found:.2f}, "
                        f"{text} on {resolved(background, known)}; expected {ENOUGH} or more"
                    )


def site_faults(folder):
    """All faults in the colours of a built site."""
    static = folder / "_static"
    sheets = [(static / name).read_text("utf-8") for name in ("styles/furo.css", "pygments.css")]
    own = {path.name: path.read_text("utf-8") for path in sorted(OWN.glob("*.css"))}
    yield from faults(*sheets, own)
