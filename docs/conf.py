"""How the site is built: `sphinx-build -W docs docs/build/html`, offline, without external assets.

sphinx-gallery runs the lessons one after the other, each in its own namespace and in the folder
that contains `lesson.py` (the tests run each lesson in a fresh interpreter). Formulas become
MathML. The other pages are those in this folder and those that `extensions/` generates from the
source.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE / "extensions", HERE.parent / "examples", HERE.parent):
    sys.path.insert(0, str(folder))

project = "minivision"
author = "the minivision authors"
copyright = "2026 the minivision authors"  # as in LICENSE
extensions = [
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "lesson_pages",
    "annotated_source",
    "measured",
    "curves",
    "run_code",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["build", "extensions", "results/*.md"]
suppress_warnings = ["config.cache"]  # the gallery's settings hold a function

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist", "attrs_inline"]
myst_heading_anchors = 3
math_renderer = html_math_renderer = "mathml"

smartquotes_action = "qe"  # quotes and ellipses; "--epochs" keeps its hyphens

html_theme = "furo"
html_title = "minivision"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style, pygments_dark_style = "a11y-light", "a11y-dark"

# minivision is not in any package index, and every lesson imports lesson.py.
NOTEBOOK = """\
# Open this notebook in the folder examples of a clone of the repository.
%pip install -q -e .."""

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "course",
    "filename_pattern": r"/plot_\d\d_",
    "ignore_pattern": r"^(?!plot_\d\d_)",
    "copyfile_regex": r"(lesson|effects)\.py$",  # for readers who download a lesson; not pages
    "within_subsection_order": "FileNameSortKey",
    "capture_repr": (),  # a lesson prints what it shows
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "show_api_usage": False,
    "download_all_examples": False,
    "first_notebook_cell": NOTEBOOK,
    "abort_on_example_error": True,
    "plot_gallery": "True",
    "remove_config_comments": True,
}
