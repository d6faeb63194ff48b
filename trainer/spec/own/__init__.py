"""An own model as JSON: what it may be made of, and what is wrong with one."""
