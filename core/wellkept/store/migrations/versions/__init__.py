"""One file per revision; their names are their order."""
