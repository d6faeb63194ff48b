"""The paper's figures, and others, from what run directories have: rows first, then charts of them."""
