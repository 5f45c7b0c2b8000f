"""What a campaign is, what its mail says, and how a planned mail is sent. Knows nothing of how a score was made."""
