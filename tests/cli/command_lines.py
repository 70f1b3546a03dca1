"""What the tests of commands share: run one, expect its error, look into its folder."""

import json

from minivision.cli import main


def printed(capsys, *words):
    """Run a command that succeeds; returns what it printed."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def refuses(capsys, words, *fragments, after_epochs=False):
    """Expect exit code 2 and one line that contains every fragment; returns that line.

    after_epochs: the command may have printed its progress in training before.
    """
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    lines = capsys.readouterr().err.splitlines()
    progress = ("epoch ", "candidate ") if after_epochs else ()
    lines = [line for line in lines if not line.startswith(progress)]
    assert len(lines) == 1, lines
    missing = [fragment for fragment in fragments if str(fragment) not in lines[0]]
    assert not missing, f"the line does not name {missing}: {lines[0]}"
    return lines[0]


def settings(folder):
    return json.loads((folder / "settings.json").read_text())


def edit(folder, **changes):
    """Edit settings.json by hand, without the digests that would make it look unedited."""
    (folder / "settings.json").write_text(json.dumps(settings(folder) | changes))


def result(folder):
    return json.loads((folder / "result.json").read_text())


def records(folder):
    """One record per epoch."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder):
    """The bytes of every checkpoint in and below a folder, by its path there."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("checkpoint.safetensors"))
    }


def files(folder):
    """The bytes of every file in and below a folder, by path."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
