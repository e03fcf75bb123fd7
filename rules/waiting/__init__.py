"""What a smart stop knows: how long its battery lasts, what its display and ports may do, who waits for an answer."""
