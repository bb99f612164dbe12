"""`python -m market.sandbox`: the bundled exchange, without Django."""

import argparse
import sys

from market.sandbox.app import add_options, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m market.sandbox", description=__doc__)
    add_options(parser)
    sys.exit(run(parser.parse_args()))
