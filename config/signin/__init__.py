"""How people sign in: password, second factor, and what slows down whoever guesses.

The second factor is django-otp's, the brake django-axes'; what is here is their place in this product. The invariant:
whoever has a second factor, or must have one, opens no page of the product before it was shown in this session.
"""
