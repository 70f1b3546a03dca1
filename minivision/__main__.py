"""`python -m minivision` is the command `minivision`.

Read next: README.md, and the lessons in examples/
"""

import sys

from minivision.cli import main

if __name__ == "__main__":
    sys.exit(main())
