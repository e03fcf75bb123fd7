"""Sign-in: who may come in, how they show who they are, and what they keep of it."""
