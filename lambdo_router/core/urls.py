"""What is a URL that can be asked."""

from urllib.parse import urlsplit


def is_http(url: str) -> bool:
    """Return whether it is of http or https, with a host, and with no port or one that there is."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
