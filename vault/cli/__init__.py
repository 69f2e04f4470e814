"""The command line: one file a noun. stdout is data, stderr is talk; the only package that exits the process."""
