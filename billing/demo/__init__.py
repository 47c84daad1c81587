"""The demo: from a tenant to issued statements, on real components over real HTTP, with a sandbox in FortiFlex's place."""
