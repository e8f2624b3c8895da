"""Learning what a plan says: trainer, learner, batches, loss, checkpoints, workers."""
