"""Analysis: look at data, at runs and at the engine itself.

    gradient_cases/    a random example for every differentiable function
    graph.py           a picture of the tape behind a loss
    plots.py           curves, confusion, images

Read next: analysis/gradient_cases/__init__.py
"""
