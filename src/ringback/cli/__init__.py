"""The command line. One file a command; `main` puts them together."""
