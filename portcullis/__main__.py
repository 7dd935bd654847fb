"""`python -m portcullis` is the command line."""

from portcullis.cli.entry import main

main()
