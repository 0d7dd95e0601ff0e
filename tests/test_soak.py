import sys

import pytest
from soak import HEAD, account_of


@pytest.mark.real_time
async def test_two_routers_that_are_stopped_killed_and_frozen_lose_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    account = await account_of(seed=5, messages=200)

    with capsys.disabled():
        sys.stdout.write(f"\n{HEAD}\n{account.row()}\n")
    assert account.lost == []
    assert account.left == []
    assert account.early == []
    assert account.out_of_order == []
    assert account.unexplained == []
    assert account.printed == []
