"""Documents out of files of any kind: format by content, encoding detected, nothing trusted."""
