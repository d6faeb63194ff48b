"""An experiment on its way: put to rest, taken up again, and each try at it."""
