"""Networks: torch only, one file per family."""
