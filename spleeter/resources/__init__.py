"""The embedded configurations, `spleeter:NAME`, as one JSON file each."""
