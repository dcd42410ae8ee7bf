"""OpenID Connect: issuers of tokens, and an identity provider that signs people in."""
