"""One file per tab: everything the tab does, without a screen."""
