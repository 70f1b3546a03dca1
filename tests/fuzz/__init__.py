"""Fuzzing: damaged files, odd texts and wrong command lines, drawn from a seed.

    python -m tests.fuzz --cases 200000                 all targets, about 30 minutes
    python -m tests.fuzz --cases 20000 --target images  one of them
    python -m tests.fuzz --cases 200000 --part 2/8      an eighth of the work
    python -m tests.fuzz --target images --case 1234    repeat one case, with its traceback

A case may end with a correct result or with an error message (from a command, exit code 2).
A finding is anything else: another exception, a wrong result, a message that does not name the
file, more than 10 seconds, more than 1 GB beyond the decoded input, or a file written outside the
case's folder.

`mutations` does the damage, `targets` defines the input of each reader and how its result is
checked, and `harness` runs the cases in a process with limits.
"""
