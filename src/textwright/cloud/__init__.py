"""What launchers of trainings elsewhere share: files to send, requests as data, a log, results."""
