"""Be the emulator: ministack under its server, hypercorn, whose arguments follow the first.

The first argument is a folder of packages for the emulator's own process alone. Run by the
emulator's interpreter, with ``-I``: nothing of this folder is on its path.
"""

import contextlib
import resource
import runpy
import sys

sys.path.append(sys.argv.pop(1))
with contextlib.suppress(ValueError, OSError):  # as many connections as the system allows
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
runpy.run_module("hypercorn", run_name="__main__", alter_sys=True)
