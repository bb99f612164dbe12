#!/usr/bin/env python3
"""Every command of bfxdash. On a fresh clone `python3 manage.py up` also does all the set-up."""

import os
import sys

if os.name != "posix":
    sys.exit("bfxdash runs on Linux and macOS; on Windows, inside WSL")
if sys.version_info < (3, 11):  # noqa: UP036  an older Python must hear why
    sys.exit("bfxdash needs Python 3.11 or newer, this is %s" % sys.version.split()[0])  # noqa: UP031

from bfxdash import bootstrap

if __name__ == "__main__":
    bootstrap.enter(sys.argv)  # returns inside the virtual environment
    from bfxdash import launch

    launch.run(sys.argv)
