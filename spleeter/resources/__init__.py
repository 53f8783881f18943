"""The embedded configurations, one JSON file each: what `spleeter:NAME` names."""
