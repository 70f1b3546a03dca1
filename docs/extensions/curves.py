"""The directive `curve` plots a record in docs/results: the mean over the seeds and their spread.

```{curve} knn_mnist
:by: …                   one line for each combination of these columns (optional)
:show: test_accuracy     a number in each row, a table {x: number}, or a list
:against: stored         the column for x if `show` is a number, otherwise its label
:logarithmic:            use a logarithmic scale for x
```
"""

import base64
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from effects import read
from line_charts import STYLES, drawn, in_words, lines
from sphinx.util.docutils import SphinxDirective


class Curve(SphinxDirective):
    required_arguments = 1
    option_spec: ClassVar = {
        "by": directives.unchanged_required,
        "show": directives.unchanged_required,
        "against": directives.unchanged_required,
        "logarithmic": directives.flag,
    }

    def run(self):
        name, show, against = self.arguments[0], self.options["show"], self.options["against"]
        by = [word.strip() for word in self.options.get("by", "").split(",") if word.strip()]
        found = lines(read(name), by, show, against)
        if not found or len(found) > len(STYLES):
            raise self.error(f"{name}: {len(found)} lines; expected 1 to {len(STYLES)}")
        picture = base64.b64encode(drawn(found, show, against, "logarithmic" in self.options))
        alt = in_words(found, show, against)
        uri = f"data:image/svg+xml;base64,{picture.decode()}"
        said = f"docs/results/{name}.json: mean and standard deviation over the seeds"
        return [nodes.image(uri=uri, alt=alt, classes=["curve"]), nodes.caption(said, said)]


def setup(app):
    app.add_directive("curve", Curve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
