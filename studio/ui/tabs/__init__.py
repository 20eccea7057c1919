"""One file per tab, same names as the pipelines."""
