"""Commands refuse in one line that names the option and the value, and leave nothing behind."""

import shlex

import pytest

from minivision.cli import main
from tests.cli.command_lines import refuses

SHORT = "--epochs 2 --limit 40 --batch-size 20"
HIDDEN = "--labelled digits --labels 40 --model softmax_regression"
HUGE = 10**400

# A command line, in which @name is a file or folder of `broken_place`, and what its error names.
ERRORS = [
    # train
    ("train --model resnet", "'resnet'", "lenet5, lenet5_lecture"),
    ("train --dataset nowhere", "nowhere", "digits, shapes, mnist"),
    ("train --device tpu", "device", "tpu", '"cpu", "gpu", "gpu:N" or "auto"'),
    ("train --momentum 0.9", "'momentum'", "0.9", "adam"),
    ("train --momentum 2 --optimizer sgd", "'momentum'", "2.0", "below 1"),
    ("train --schedule plateau --patience 3", "'patience'", "3", "5"),
    ("train --class-weights balanced --model lenet5_original", "--class-weights", "lenet5_orig"),
    ("train --class-weights balanced --limit 7", "--class-weights", "training image", "--limit"),
    ("train --weights nowhere.safetensors", "--weights", "nowhere.safetensors: No such file"),
    ("train --skip-unreadable", "--skip-unreadable", "digits"),
    ("train --augment pca-colour", "--augment", "pca-colour", "grey"),
    # A run, and images for it
    ("evaluate @cut_settings", "settings.json", "JSON"),
    ("evaluate @cut_checkpoint", "checkpoint.safetensors", "truncated"),
    (
        "evaluate @lecture",
        "different model", "classifier.0.weight", "(120, 400)", "expected (120, 256)",
    ),
    ("predict @digits none.png", "none.png"),
    ("predict @digits @broken.png", "broken.png"),
    ("predict @digits @white.png", "white.png: FrameDigit", "from 255 to 255"),
    ("explain @digits @digit.png @digit.png --out page.png", "--out", "one image", "2"),
    ("explain @digits @digit.png --class 10", "--class", "'10'", "0, 1"),
    ("explain @digits @digit.png --layer conv", "'conv'", "features.0"),
    ("explain @digits @digit.png --layer classifier.0 --out page.png", "classifier.0", "positions"),
    ("explain @digits @digit.png --out page.pdf", "page.pdf", ".png"),
    # Looking at networks
    ("receptive-field lenet5 --layer conv1", "'conv1'", "features.0, features.1, ", "classifier.4"),
    ("receptive-field lenet5 --layer features.3 --unit 10 0", "(10, 0)", "10x10 units"),
    ("receptive-field lenet5 --unit 0 0", "--unit", "--layer"),
    ("receptive-field lenet5 --out a.png", "--out", "--layer"),
    ("receptive-field lenet5 --layer features.0 --image a.png", "--image", "--out"),
    ("receptive-field lenet5 --layer features.0 --image none.png --out a.png", "none.png"),
    ("receptive-field lenet5 --layer features.0 --out a.jpg", "a.jpg", ".png"),
    *(
        (f"{command} {words}", *fragments)
        for command in ("summary", "receptive-field")
        for words, *fragments in (
            ("lenet6", "'lenet6'", "lenet5_lecture"),
            ("@low", "low", "settings.json"),
            ("lenet5 --input-size 32", "28x28"),
            ("lenet5 --input-size 1 28 28", "--input-size", "3 numbers"),
        )
    ),
    ("gradcheck conv3d", "'conv3d'", "add, subtract"),
    # backward
    ("backward x.sum() x", "'x'", "NAME=VALUE"),
    ("backward x.sum() x=sqrt(2)", "x is 'sqrt(2)'", "a number, a list, ones(SHAPE)"),
    ("backward x.sum() x=[[1],[2,3]]", "x is '[[1],[2,3]]'", "a number"),
    ("backward y.sum() x=1", "y has no value"),
    ("backward y y=0.5", "'y'", "computes nothing"),
    ("backward '10**10**10 * x' x=1", "10 ** 10 ** 10"),
    ("backward '1/0 * x' x=1", "1 / 0", "division by zero"),
    ("backward (x*10**400).sum() x=1", "10 ** 400"),
    (f"backward {'+'.join(['x'] * 3000)} x=1", "nested too deeply"),
    (f"backward x{'-' * 100_000}1 x=1", "nested too deeply"),
    (f"backward '{HUGE} * x' x=1", "smaller numbers"),
    (f"backward 'h = {HUGE}; h * x' x=1", "smaller numbers"),
    (f"backward x.min() x=[1,{HUGE}]", "x is", "a number, a list"),
    (f"backward x.mean() x=1{'+1' * 20_000}", "x is", "a number, a list"),
    (f"backward x.max() x=1{'-' * 100_000}1", "x is", "a number, a list"),
    ("backward x.sum() x=random(100000,100000)", "x has 10,000,000,000 numbers", "at most"),
    ("""backward 'x.sum(**{"axis": 0})' x=1""", "**", "not supported"),
    ("backward True.T.sum()", "'bool'", "'T'"),
    ("backward 'x = y = x' x=1", "x = y = x", "NAME ="),
    ("backward 'x * 2' x=1 x=2", "x is given twice"),
    ("""backward '"a" * 1000000000' x=1""", "'a' is not a number"),
    # Augmentation
    ("augment", "no image", "--describe"),
    ("augment nothing.png", "nothing.png"),
    ("augment @digit.png --magnitude 31", "magnitude", "31.0", "0 to 30"),
    ("augment @digit.png --copies 0", "0", "at least one copy"),
    ("augment @digit.png --out a.gif", "a.gif", ".png"),
    ("augment @digit.png --policy flip+cutmix", "--policy: cutmix", "train --augment flip+cutmix"),
    ("search-augmentation --budget 14 --out s", "a budget of at most 13"),
    ("search-augmentation --budget 1 --out s", "search: budget", "1", "2"),
    ("search-augmentation --baseline cutmix --out s", "--baseline: cutmix", "minivision train"),
    ("search-augmentation --baseline turn --out s", "--baseline: 'turn'", "flip"),
    ("search-augmentation --model vgg17 --out s", "model", "'vgg17'", "lenet5"),
    ("search-augmentation --device tpu --out s", "device", "tpu", '"cpu"'),
    # A search for images
    ("search-images @high @digit.png --k 0", "--k", "0", "at least 1"),
    ("search-images @high @digit.png --out sheet.jpg", "sheet.jpg", ".png"),
    ("search-images @high @digit.png --run nowhere", "no run at nowhere"),
    ("search-images nowhere @digit.png", "index_folder", "nowhere"),
    ("search-images @empty @digit.png", "index_folder", "empty", ".png"),
    ("search-images @unreadable @digit.png", "index_folder", "a.png begins with 3f"),
    ("convert-weights none.pth a.safetensors", "none.pth: No such file or directory"),
    ("convert-weights none.pth a.pth", "a.pth", ".safetensors"),
    # An old network and a new task
    ("transfer", "RUN"),
    (f"transfer nowhere --dataset @high {SHORT}", "no run at nowhere"),
    (f"transfer @old --dataset nowhere {SHORT}", "nowhere", "digits, shapes,"),
    (f"transfer @old --dataset @high {SHORT} --layers 9", "layers", "9", "1 to 3"),
    (f"transfer @old --dataset @high {SHORT} --augment flop", "--augment", "'flop'", "none"),
    (f"transfer @old --dataset @high {SHORT} --augment mixup", "--augment", "mixup", "labels"),
    (f"transfer @old --dataset digits {SHORT}", "the images of digits", "1 channel"),
    (f"transfer @old --dataset @half_empty {SHORT}", "half_empty/6", "no images"),
    (f"transfer @lecture --dataset @high {SHORT}", "checkpoint of a different model"),
    (f"forget-less @old --dataset digits {SHORT}", "the images of digits", "1 channel"),
    (f"forget-less @old --dataset @half_empty {SHORT}", "half_empty/6", "no images"),
    (f"forget-less @lecture --dataset @high {SHORT}", "checkpoint of a different model"),
    (f"forget-less @old --dataset @high {SHORT} --temperature -1", "--temperature", "-1.0"),
    (f"forget-less @old --dataset @high {SHORT} --temperature 1e300", "--temperature", "1e+300"),
    (f"distill @old {SHORT} --temperature 0", "--temperature", "0", "0.001 to 1000"),
    (f"distill @old {SHORT} --temperature nan", "--temperature", "nan", "0.001 to 1000"),
    (f"distill @old {SHORT} --temperature 1e8", "--temperature", "100000000.0", "0.001 to 1000"),
    (f"distill @old {SHORT} --alpha 2", "--alpha", "2.0", "0 to 1"),
    (f"distill @old {SHORT} --alpha 0.5 --no-labels", "--alpha", "--no-labels"),
    (f"distill @old {SHORT} --student lenet6", "'lenet6'", "softmax_regression"),
    (f"distill @old {SHORT} --dataset @high", "0, 1, 2, 3, 4", "--no-labels", "transfer"),
    (f"distill @lecture {SHORT}", "checkpoint of a different model"),
    (f"distill @lecture {SHORT} --no-labels --dataset @high", "checkpoint of a different model"),
    # Few labels
    ("pseudo-label", "--unlabelled FOLDER", "--labels N"),
    ("pseudo-label --labels 9", "--labelled NAME|PATH"),
    ("pseudo-label --labelled digits --unlabelled nowhere", "folder", "nowhere"),
    (f"pseudo-label {HIDDEN} --threshold 1.5", "--threshold", "1.5", "0 to 1"),
    (f"pseudo-label {HIDDEN} --augment cutmix", "--augment", "cutmix", "labels"),
    ("self-train --labelled digits --labels 5", "--labels", "5", "10 classes"),
    (f"self-train {HIDDEN} --floor -1", "--floor", "-1.0", "0 to 1"),
    (f"self-train {HIDDEN} --student resnet9", "--student", "'resnet9'", "lenet5"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "fragments"),
    [(words, fragments) for words, *fragments in ERRORS],
    ids=[f"{words[:50]} {words[-20:]}" for words, *_ in ERRORS],
)
def test_commands_refuse_in_one_line_and_leave_nothing(
    broken_place, tmp_path, monkeypatch, capsys, words, fragments
):
    monkeypatch.chdir(tmp_path)
    line = [
        str(broken_place / word[1:]) if word.startswith("@") else word
        for word in shlex.split(words)
    ]
    refuses(capsys, line, *fragments)
    assert list(tmp_path.iterdir()) == []
    assert not list(broken_place.rglob(".minivision-*"))  # the index of a search


@pytest.mark.parametrize(
    "words",
    [
        "train --epochs 0", "train --lr -1", "train --lr abc", "train --lr nan", "train --seed x",
        "train --seed -1", "train --limit few", "train --patience 0", "train --momentum -1",
        "train --weight-decay -0.1", "train --weight-decay much", "train --weight-decay inf",
        "train --schedule linear", "train --class-weights 0.5",
        "convert-weights a.pth b.safetensors --model lenet6",
    ],
)  # fmt: skip
def test_commands_name_an_option_whose_value_is_out_of_range(words, capsys):
    *_, option, value = words.split()
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert f"argument {option}" in error
    assert value in error
