"""Notifications: from the outbox to people, one message per cause, through whatever service reaches them."""
