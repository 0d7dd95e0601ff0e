import sys

import pytest
from ledger import account_of


@pytest.mark.real_time
async def test_of_five_thousand_messages_under_faults_none_is_lost_or_run_twice_without_a_cause(
    capsys: pytest.CaptureFixture[str],
) -> None:
    account = await account_of(seed=1, messages=5000)

    with capsys.disabled():
        sys.stdout.write(f"\n{account}\n")
    assert account.lost == ()
    assert account.left == 0
    assert account.unexplained == ()
    assert account.wrongly_launched == ()
    assert account.launched + account.rejected == account.sent == 5000
    assert {kind for _, _, kind in account.faults} == {
        "ErrorAnswer",
        "Cut",
        "Delay",
        "LoseAnswer",
        "Partial",
        "Throttle",
    }
