"""What every part of Lapwing shares: settings, errors, logs, clock, published tables, tokens. Knows no part."""
