"""Training of the networks that StreamVOS ships; nothing else imports it."""
