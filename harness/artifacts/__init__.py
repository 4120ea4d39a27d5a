"""From a model and a recipe to a verified file: exporters, worker processes, the cache and its manifests."""
