"""The targets, and how many of a hundred cases are of each.

A target makes valid inputs and changes them. Damage that a checksum would find at once is repaired
in many of the cases, so that what lies behind the checksum is reached, too.
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
