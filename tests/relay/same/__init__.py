import pytest

pytest.register_assert_rewrite("tests.relay.same.ways")
