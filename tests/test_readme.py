"""The README tells the truth: its programs run, and print what it says they print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from minivision import manual_seed, nn, no_grad, optim
from minivision.datasets import DataLoader, load_dataset

README = (Path(__file__).parent.parent / "README.md").read_text()
NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")


def block_after(mark):
    """The code block that follows <!-- mark --> in the README."""
    return re.search(rf"<!-- {mark} -->\n```\w+\n(.*?)```", README, re.DOTALL).group(1)


def run(program):
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_readme_program_prints_the_output_shown():
    """Word for word; numbers within 0.03 or 3 %, since every BLAS rounds differently."""
    shown, printed = block_after("output"), run(block_after("program"))
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", shown)
    numbers = [
        [float(n.replace(",", "")) for n in NUMBER.findall(text)] for text in (printed, shown)
    ]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.03, abs=0.03)


def test_readme_program_has_at_most_twenty_lines():
    lines = [line for line in block_after("program").splitlines() if line.strip()]
    assert len(lines) <= 20


def test_readme_function_passes_its_gradcheck():
    programs = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    printed = run(next(program for program in programs if "def cube" in program))
    assert float(re.search(r"worst_error=([-\d.e]+)", printed).group(1)) < 1e-6


def test_readme_experiment_breaks_conv2d_and_is_caught_as_shown(tmp_path):
    """The README's experiment, on a copy of the package."""
    root = Path(__file__).parent.parent
    for path in (root / "minivision").rglob("*.py"):
        target = tmp_path / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text())
    page = tmp_path / "minivision" / "functional" / "convolution.py"
    right, wrong = re.search(r"change `(pixels .*?)` to `(pixels.*?)`", README).groups()
    text = page.read_text()
    assert text.count(right) == 1
    page.write_text(text.replace(right, wrong))
    command = [sys.executable, "-m", "minivision", "gradcheck", "conv2d"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    shown = re.search(r"(FAILED: .*?)```", README, re.DOTALL).group(1)
    assert result.stdout.split()[6:] == shown.split()


def test_readme_links_only_files_that_exist():
    root = Path(__file__).parent.parent
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert all((root / link).exists() for link in links if not link.startswith("http"))


def test_readme_program_in_the_style_of_pytorch_learns_the_digits():
    train, _, test = load_dataset("digits")
    loader, others = DataLoader(train, batch_size=32, shuffle=True), DataLoader(test, 256)
    manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5), nn.ReLU(), nn.MaxPool2d(kernel_size=2, stride=2),
        nn.Flatten(), nn.Linear(16 * 5 * 5, 120), nn.ReLU(), nn.Dropout(0.2), nn.Linear(120, 10),
    )  # fmt: skip
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(3):
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
    model.eval()
    correct = 0
    with no_grad():
        for images, labels in others:
            correct += (model(images).argmax(1) == labels).sum().item()
    assert correct / len(test) > 0.9
