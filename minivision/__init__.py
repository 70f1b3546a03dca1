"""minivision: a computer-vision course that runs."""
