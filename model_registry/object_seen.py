"""Objects that are looked at again and again: what has not changed is not sent again."""

from storage.objects import Objects, Tag


class SeenObjects:
    """What was read last of some small objects; of any thread's use."""

    def __init__(self, objects: Objects) -> None:
        """Nothing has been read yet."""
        self._objects = objects
        self._seen: dict[str, tuple[Tag, bytes]] = {}

    def read(self, name: str, most: int) -> bytes | None:
        """An object's content, asked for by one conditional request, or None where there is none; raises StoreAway."""
        known = self._seen.get(name)
        try:
            found = self._objects.read_if_changed(name, known[0] if known else None, most)
        except FileNotFoundError:
            self._seen.pop(name, None)
            return None
        if found is not None:
            known = self._seen[name] = (found.tag, found.content)
        assert known is not None  # noqa: S101 (nothing is unchanged that was never read)
        return known[1]

    def tag(self, name: str) -> Tag | None:
        """The tag of what was read last of an object."""
        known = self._seen.get(name)
        return known[0] if known else None
