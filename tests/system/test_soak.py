import sys

import pytest
from soak import account_of
from soak_books import HEAD, Account


@pytest.mark.real_time
async def test_two_routers_that_are_stopped_killed_and_frozen_lose_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    account = await account_of(seed=5, messages=200)

    with capsys.disabled():
        sys.stdout.write(f"\n{HEAD}\n{account.row()}\n")
    wrong = {name: found for name in Account.WRONG if (found := getattr(account, name))}
    assert wrong == {}
    assert account.margin > 0.0
