"""The command line: reads options, calls the library, prints results, reports errors in one line.

Begin with `app`, which has all commands and handles errors; a command group is a file. Nothing here
computes, and `--help` must not import NumPy or torch, so commands import what they need themselves.
Exit codes: 0; 1 for an error while running; 2 for a wrong request; 130 where Ctrl-C or SIGTERM
ended it. Results go to standard output, everything else to standard error.
"""
