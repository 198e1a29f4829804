"""Which test comes next in which process."""

from itertools import pairwise


class Stretches:
    """Tests are numbers from 0 to `test_count`; each process has a stretch of neighbours.

    What a module shares is therefore made about once. A process that is through takes half of the longest stretch.
    """

    def __init__(self, test_count: int, process_count: int) -> None:
        bounds = [test_count * number // process_count for number in range(process_count + 1)]
        self._left = [range(*ends) for ends in pairwise(bounds)]
        self._returned: list[int] = []

    def take(self, process: int) -> int | None:
        """None when no test is left."""
        if self._returned:
            return self._returned.pop()
        if not self._left[process]:
            self._left[process] = self._half_of_the_longest()
        stretch = self._left[process]
        self._left[process] = stretch[1:]
        return stretch[0] if stretch else None

    def put_back(self, test: int) -> None:
        """A process that had taken it did not come to it."""
        self._returned.append(test)

    def _half_of_the_longest(self) -> range:
        longest = max(range(len(self._left)), key=lambda process: len(self._left[process]))
        stretch = self._left[longest]
        kept_count = len(stretch) // 2
        self._left[longest] = stretch[:kept_count]
        return stretch[kept_count:]
