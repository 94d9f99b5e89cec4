"""The `mella` subcommands, one module each: flags enter, a stage runs, its report is printed."""
