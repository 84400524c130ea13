"""The screen of `ringback softphone`: contacts, the calls and what can be done with them."""
