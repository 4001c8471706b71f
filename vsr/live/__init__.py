"""Inputs that don't end: session states, reconnecting, the staleness budget, the quality ladder, the page."""
