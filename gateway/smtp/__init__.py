"""The SMTP edge: the only room that knows aiosmtpd."""
