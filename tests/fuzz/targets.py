"""The targets, and their shares of the cases in percent.

A target makes valid inputs and changes them. In many cases it corrects the checksum of a changed
input, so that the code after the check is tested as well.
"""

from tests.fuzz import commands, files, saved, texts
from tests.fuzz.harness import Target

TARGETS = {
    "idx": Target(20, files.make_idx, files.check_idx, "case.idx"),
    "cifar": Target(5, files.make_cifar, files.check_cifar, "case.bin"),
    "images": Target(
        22, files.make_image, files.check_image, "case.png", decoded=files.image_bytes
    ),
    "tars": Target(15, files.make_tar, files.check_tar, "case.tar"),
    "safetensors": Target(12, saved.make_weights, saved.check_weights, "case.safetensors"),
    "checkpoints": Target(7, saved.make_checkpoint, saved.check_checkpoint, "case.safetensors"),
    "policies": Target(5, texts.make_policy, texts.check_policy, "--augment"),
    "expressions": Target(8, texts.make_expression, texts.check_expression),
    "runs": Target(1.5, commands.run_folder, commands.run_in_folder),
    "commands": Target(2, commands.command_line, commands.run_command),
}
