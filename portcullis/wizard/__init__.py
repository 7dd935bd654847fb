"""`portcullis init`: a configuration from a person's choices, judged before it is in force."""
