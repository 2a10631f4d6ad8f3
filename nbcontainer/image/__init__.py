"""Images: references, the store, layers, archives."""
