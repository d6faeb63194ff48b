"""The command line `rebalance`."""
