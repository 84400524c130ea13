"""Session setup: who may do what, where requests go, and the forking proxy."""
