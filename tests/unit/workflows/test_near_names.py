"""Which name was meant."""

from sluice_workflows.near_names import near_names

KNOWN = ("map-reduce", "hello", "approval")


def test_the_nearest_name_comes_first() -> None:
    assert near_names("map-reduc", KNOWN) == ("map-reduce",)
    assert near_names("hallo", ("hollow", *KNOWN), most=2) == ("hello", "hollow")
    assert near_names("hello", ()) == ()
    assert near_names("", KNOWN) == near_names("\ud800", KNOWN) == near_names("zzz", KNOWN) == ()


def test_a_name_of_any_length_costs_no_more_than_its_beginning() -> None:
    longest = "a" * 64
    assert near_names("a" * 10_000_000, (longest, *KNOWN)) == (longest,)


def test_so_many_names_are_compared_and_no_more() -> None:
    others = [f"{number:09}" for number in range(499)]
    assert near_names("hallo", [*others, "hello"]) == ("hello",)
    assert near_names("hallo", [*others, "other", "hello"]) == ()
