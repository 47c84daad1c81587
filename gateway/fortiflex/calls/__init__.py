"""FortiFlex's 22 calls by resource (FortiFlex API reference, 2.3 and 2.4). Every one is a POST with a JSON object."""
