"""Which settings name an object store and which a folder."""

SCHEMES = ("s3", "gs", "az")
"""Amazon's protocol (many stores speak it), Google's and Azure's."""


class BadAddress(ValueError):
    """An address names neither a folder nor an object store that can be used."""


def is_url(address: str) -> bool:
    """Whether an address names an object store (`s3://bucket/prefix`, also gs and az), and not a folder.

    Raises BadAddress for another scheme, or where the bucket is missing.
    """
    scheme, parted, rest = address.partition("://")
    if not parted:
        return False
    if scheme not in SCHEMES or not rest.partition("/")[0]:
        known = ", ".join(f"{one}://bucket/prefix" for one in SCHEMES)
        raise BadAddress(f"{address} names no place that can be used: give a folder, or one of {known}")
    return True
