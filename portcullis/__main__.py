"""`python -m portcullis` is the command line."""

from portcullis.cli.main import main

main()
