"""From the broker to the committed row: session, decoding, pipeline, acknowledgement."""
