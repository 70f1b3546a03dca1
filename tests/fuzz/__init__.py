"""Fuzzing: damaged files, odd texts and wrong command lines, all determined by a seed.

    python -m tests.fuzz --cases 200000                 all targets, about 30 minutes
    python -m tests.fuzz --cases 20000 --target images  only one target
    python -m tests.fuzz --cases 200000 --part 2/8      an eighth of the work
    python -m tests.fuzz --target images --case 1234    repeat one case, with its traceback

A case may end with a correct result or with an error message (from a command, with exit code 2).
Anything else is a finding: any other exception, a wrong result, a message that does not name the
file, taking more than 10 seconds or more than 1 GB beyond the decoded input, or writing a file
outside the case's folder.

`mutations` does the damage, `targets` lists what is fuzzed and how its results are checked, and
`harness` runs the cases in a process with limits.
~~~
"""
