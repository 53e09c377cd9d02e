"""Speech: one transcription stream per language of a session, shared by all its apps."""
