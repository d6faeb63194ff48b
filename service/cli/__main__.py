"""`python -m service.cli`: the same as `rebalance`."""

from service.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
