"""Analysis: look at networks from outside, at data, at runs and at the engine itself.

    passes.py           passes through a network that are only watched
    receptive_field.py  what a unit can see
    effective_field.py  how much each pixel moves it
    summary.py          layers, parameters, multiply-adds, memory
    gradient_cases/     a random example for every differentiable function
    graph.py            a picture of the tape behind a loss
    plots.py            curves, confusion, images

Read next: analysis/passes.py
"""
