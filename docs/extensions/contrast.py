"""Can the text of the site be read? The contrast of its colours, in the light and the dark theme.

The contrast of two colours is (a + 0.05) / (b + 0.05), a and b being the luminances of the lighter
and the darker one; text needs 4.5 (Web Content Accessibility Guidelines 2.2, 1.4.3). The colours
are those of built style sheets: the theme's variables, the highlighted code, and the rules of
`docs/static`. It needs no Sphinx.
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
    """The (selector, {property: value}) of a style sheet; those in @media blocks as well."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", css):
        pairs = (line.split(":", 1) for line in body.split(";") if ":" in line)
        yield selector.strip(), {name.strip(): value.strip() for name, value in pairs}


def is_of(theme, selector):
    """Whether a rule holds in a theme: the light one is also that of all rules without a theme."""
    dark = re.search(r"data-theme=\"?dark|not\(\[data-theme=\"?light", selector) is not None
    return dark == (theme == "dark")


def variables(furo, pygments, theme):
    """The theme's variables that are colours, with `--code` for the background of code."""
    found = {}
    for part in THEMES[: THEMES.index(theme) + 1]:  # the dark theme changes some of the light one
        for selector, values in rules(furo):
            if selector.startswith("body") and is_of(part, selector):
                found |= {name: value for name, value in values.items() if name.startswith("--")}
        for selector, values in rules(pygments):
            if selector.endswith(".highlight") and is_of(part, selector):
                found["--code"] = values["background"]
    return found


def resolved(value, known):
    """A value as "#abc", through the variables; None if it is not such a colour."""
    while (name := re.match(r"var\(\s*(--[\w-]+)", value or "")) is not None:
        value = known.get(name[1])
    return value if re.fullmatch(r"#(\w{3}|\w{6})", value or "") else None


def faults(furo, pygments, own):
    """Every colour of text that is too faint, in words.

    furo, pygments: the style sheets of the theme and of highlighted code; own: ours, by name. A
    rule without a background has to be readable on the page, on a box and on code.
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
    """The faults of a built site."""
    static = folder / "_static"
    sheets = [(static / name).read_text("utf-8") for name in ("styles/furo.css", "pygments.css")]
    own = {path.name: path.read_text("utf-8") for path in sorted(OWN.glob("*.css"))}
    yield from faults(*sheets, own)
