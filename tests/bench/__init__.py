"""Measure the project; no time fails a test."""

# In the names of the bench's apps.
WORDS = ["minecraft", "palworld", "kadena", "presearch", "wordpress", "api", "explorer", "node", "vpn", "bot", "shop"]
