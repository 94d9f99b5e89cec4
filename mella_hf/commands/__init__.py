"""The `mella` subcommands, one module each: parse the flags, call the library, print the result."""
