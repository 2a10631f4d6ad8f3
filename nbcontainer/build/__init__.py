"""Building images from Dockerfiles: the context, the cache, the steps. Reading them is `image.dockerfile`'s."""
