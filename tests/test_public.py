import upres


def test_the_public_names() -> None:
    assert sorted(upres.__all__) == upres.__all__
    for name in upres.__all__:
        assert getattr(upres, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(upres, "nothing")
