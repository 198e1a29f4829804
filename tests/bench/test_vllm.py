"""The comparison with vLLM goes by turns and by the rounds' own ratios."""

from collections.abc import Sequence


def test_a_side_is_compared_with_ours_round_by_round() -> None:
    from bench.engine_sides import Measured  # transformers' models take seconds, which every process would spend
    from bench.vllm import compared

    order: list[str] = []

    class Scripted:
        """As fast as it is told, one figure after the other."""

        def __init__(self, name: str, speeds: Sequence[float]) -> None:
            self.name = name
            self.speeds = iter(speeds)

        def measure(self, conversations: int) -> Measured:
            assert conversations == 16
            order.append(self.name)
            speed = next(self.speeds)
            return Measured(tokens_per_second=speed, processor_seconds=1 / speed)

    ours = Scripted("ours", [1, 100, 200, 100, 200, 100, 200])  # the first is the warm-up
    other = Scripted("vllm", [1, 80, 160, 80, 160, 80, 160])
    lines = list(compared({"ours": ours, "vllm": other}, 16, rounds=6))

    assert order[:6] == ["ours", "vllm", "ours", "vllm", "vllm", "ours"]
    assert [(line["side"], line["tokens/s"], line["speed by ours"]) for line in lines] == [
        ("ours", 150, 1.0),
        ("vllm", 120, 0.8),
    ]
    assert lines[1]["interval"] == "0.80 to 0.80"
    assert lines[1]["processor by ours"] == 1.25
