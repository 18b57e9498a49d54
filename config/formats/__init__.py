"""How dates look where Django's own formats differ from what the product shows."""
