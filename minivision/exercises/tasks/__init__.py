"""The exercises: one file per function that a learner writes."""
