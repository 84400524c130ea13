"""User capabilities: what this element and its users can do."""
