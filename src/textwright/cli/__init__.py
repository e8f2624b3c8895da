"""The command line: thin. It reads options, calls the library, and turns its errors into one line.

Exit codes: 0; 1 for what went wrong while running; 2 for a wrong request; 130 where Ctrl-C or
SIGTERM ended it. Results go to standard output, everything else to standard error.
"""
