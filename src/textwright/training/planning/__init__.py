"""What will be trained: from a request and a text to a recipe and a plan."""
