"""Where bytes come from: files, folders, addresses, built-in texts, the Hub."""
