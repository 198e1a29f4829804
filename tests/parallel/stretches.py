"""Which test comes next in which process."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from itertools import groupby

QUICK_SECONDS = 0.05
"""What a test takes in a file of which nothing is known."""


class Stretches:
    """Tests are numbered from 0; each process has a stretch of neighbours that is to take as long as the others'.

    What a module or a folder shares is therefore made about once. In each stretch the files that take longest come
    first, so that at the end there are only quick tests to share: a process that is through takes half of what takes
    longest of what is left.
    """

    def __init__(self, files: Sequence[str], process_count: int, seconds: Mapping[str, float]) -> None:
        """`files`: of each test, neighbours together. `seconds` that all tests of a file take, where that is known."""
        counts = Counter(files)
        self._seconds = [seconds.get(file, QUICK_SECONDS * counts[file]) / counts[file] for file in files]
        self._left: list[deque[int]] = [deque() for _ in range(process_count)]
        self._returned: list[int] = []
        for process, stretch in enumerate(self._split(files, process_count)):
            stretch.sort(key=lambda tests: -seconds.get(files[tests[0]], 0))
            self._left[process].extend(test for tests in stretch for test in tests)

    def take(self, process: int) -> int | None:
        """None when no test is left."""
        if self._returned:
            return self._returned.pop()
        if not self._left[process]:
            self._left[process] = self._half_of_the_longest()
        return self._left[process].popleft() if self._left[process] else None

    def put_back(self, test: int) -> None:
        """A process that had taken it did not come to it."""
        self._returned.append(test)

    def _split(self, files: Sequence[str], process_count: int) -> list[list[list[int]]]:
        """The tests of each file, by process. A file that begins in one process's time is that process's."""
        stretches: list[list[list[int]]] = [[] for _ in range(process_count)]
        share = sum(self._seconds) / process_count
        before = 0.0
        for _, numbers in groupby(range(len(files)), key=files.__getitem__):
            tests = list(numbers)
            takes = self._take(tests)
            stretches[min(int((before + takes / 2) / share), process_count - 1)].append(tests)
            before += takes
        return stretches

    def _half_of_the_longest(self) -> deque[int]:
        longest = max(self._left, key=self._take)
        moved: deque[int] = deque()
        still = self._take(longest) / 2
        while longest and still > 0:
            moved.appendleft(longest.pop())
            still -= self._seconds[moved[0]]
        return moved

    def _take(self, tests: "Sequence[int] | deque[int]") -> float:
        """Seconds."""
        return sum(self._seconds[test] for test in tests)
