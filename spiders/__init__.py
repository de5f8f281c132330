"""How a market is walked: target → requests → pages → records. Knows no SQL and no rules."""
