"""One that recovers gets its calls back by and by, whoever else there is."""

from plan_scene import Dice, Standing, Ward, channel, chat, found, names, planned

from deeptoken.catalog.catalog import Found

A, B = channel("a"), channel("b")
RECOVERS = Standing(share=0.25)
HIGH, HIGHER = channel("high", priority=1), channel("higher", priority=2)


def first_of(served: Found, health: Ward) -> dict[str, int]:
    """How often each is first in a thousand plans."""
    draw = Dice()
    firsts = [names(planned(served, health=health, draw=draw))[0] for _ in range(1_000)]
    return {name: firsts.count(name) for name in set(firsts)}


def test_one_that_recovers_takes_its_share_alone_and_the_rest_goes_to_those_below() -> None:
    served = found(HIGH, A, B)
    health = Ward({"high": RECOVERS})

    firsts = first_of(served, health)

    assert 200 < firsts["high"] < 300
    assert set(names(planned(served, health=health))) == {"high", "a", "b"}
    assert names(planned(found(HIGH), health=health)) == ["high"]


def test_where_all_of_a_priority_recover_the_next_one_takes_the_rest() -> None:
    both = Ward({"higher": RECOVERS, "high": RECOVERS})

    firsts = first_of(found(HIGHER, HIGH, A), both)

    assert 200 < firsts["higher"] < 300
    assert 140 < firsts["high"] < 240


def test_a_well_equal_takes_what_one_that_recovers_does_not_and_nobody_below_does() -> None:
    equals = found(HIGH, channel("peer", priority=1), A)

    firsts = first_of(equals, Ward({"high": RECOVERS}))

    assert 150 < firsts["high"] < 250
    assert firsts.keys() == {"high", "peer"}


def test_what_was_ordered_or_waits_for_its_probe_is_not_spared() -> None:
    due = Standing(why="breaker", share=0.1)

    assert first_of(found(HIGH, A), Ward({"high": due})) == {"high": 1_000}
    for seed in range(20):
        said = chat(provider={"order": ["high"]})
        ordered = planned(found(HIGH, A), said=said, health=Ward({"high": RECOVERS}), draw=Dice(seed))
        assert names(ordered) == ["high", "a"]
