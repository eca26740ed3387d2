"""Who really wrote this: SPF, DKIM, DMARC and the path, told as one `AuthReport`."""
