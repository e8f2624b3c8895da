"""Amazon SageMaker: what a training container does, and the archive that hosting takes."""
