"""The update of one step: AdamW, Muon, and the learning rate."""
