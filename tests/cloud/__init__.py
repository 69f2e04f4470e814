"""Cloud credential modes: AWS, Google and Azure."""
