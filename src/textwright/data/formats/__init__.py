"""How one file reads: its encoding, and the text or the conversations in it."""
