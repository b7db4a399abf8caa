"""Where events go: a live table or JSON lines."""
