"""Makes complete settings for message brokers, and says what is wrong with a broker."""
