"""What can be measured: one file for each name that `--only` takes, each with a function `measure(run)`."""
