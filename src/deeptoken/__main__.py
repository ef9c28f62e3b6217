"""`python -m deeptoken` is the command line."""

from deeptoken.cli.main import main

main()
