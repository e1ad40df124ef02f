"""The engine: members, events, decisions, ledgers, tiers, rewards. Knows neither GraphQL nor pluggy."""
