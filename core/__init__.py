"""The engine: members, events, decisions, ledgers, tiers. Knows neither GraphQL nor pluggy."""
