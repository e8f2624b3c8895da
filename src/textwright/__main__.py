"""`python -m textwright`: the command line."""

from textwright.cli.app import main

if __name__ == "__main__":
    main()
