import pytest

from lambdo_router.core.errors import SettingsError
from lambdo_router.engine.router import Limits
from lambdo_router.service.settings import Secret, read_settings, without_secrets


def test_without_variables_the_defaults_hold() -> None:
    settings = read_settings({})

    assert settings.fly_token is None
    assert settings.fly_api == "https://api.machines.dev"
    assert (settings.fly_app, settings.fly_region, settings.queue_url) == ("", None, None)
    assert (settings.long_poll_seconds, settings.events_per_machine) == (20, 5)
    assert (settings.log_format, settings.log_level) == ("text", "info")
    assert settings.limits == Limits(1.0, 3, 25.0)


def test_the_original_lambdos_variables_are_read() -> None:
    settings = read_settings(
        {
            "LAMBDO_FLY_TOKEN": "t",
            "LAMBDO_FLY_APP": "jobs",
            "LAMBDO_FLY_REGION": "iad",
            "LAMBDO_SQS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/q",
            "LAMBDO_SQS_LONG_POLL_SECONDS": "0",
            "LAMBDO_EVENTS_PER_MACHINE": "10",
            "LAMBDO_ENV": "production",
        }
    )

    assert settings.fly_token is not None
    assert settings.fly_token.reveal() == "t"
    assert (settings.fly_app, settings.fly_region) == ("jobs", "iad")
    assert settings.queue_url == "https://sqs.us-east-1.amazonaws.com/1/q"
    assert (settings.long_poll_seconds, settings.events_per_machine) == (0, 10)
    assert settings.log_format == "json"


@pytest.mark.parametrize(
    ("environment", "app", "region", "token", "api"),
    [
        (
            {"FLY_APP_NAME": "a", "FLY_REGION": "fra", "FLY_API_TOKEN": "t"},
            "a",
            "fra",
            "t",
            "https://api.machines.dev",
        ),
        (
            {
                "FLY_APP_NAME": "a",
                "LAMBDO_FLY_APP": "b",
                "FLY_REGION": "fra",
                "LAMBDO_FLY_REGION": "iad",
                "FLY_API_TOKEN": "t",
                "LAMBDO_FLY_TOKEN": "u",
                "FLY_API_HOSTNAME": "http://127.0.0.1:1",
                "FLY_FLAPS_BASE_URL": "http://127.0.0.1:2",
            },
            "b",
            "iad",
            "u",
            "http://127.0.0.1:2",
        ),
    ],
    ids=["what-fly-sets", "lambdos-own-win"],
)
def test_which_variable_wins(
    environment: dict[str, str], app: str, region: str, token: str, api: str
) -> None:
    settings = read_settings(environment)

    assert settings.fly_token is not None
    assert (settings.fly_app, settings.fly_region, settings.fly_api) == (app, region, api)
    assert settings.fly_token.reveal() == token


def test_every_wrong_variable_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as wrong:
        read_settings(
            {
                "LAMBDO_SQS_LONG_POLL_SECONDS": "21",
                "LAMBDO_EVENTS_PER_MACHINE": "many",
                "LAMBDO_LAUNCH_RATE": "nan",
                "LAMBDO_LOG_FORMAT": "xml",
            }
        )

    assert str(wrong.value).splitlines() == [
        "LAMBDO_SQS_LONG_POLL_SECONDS is '21'; it must be a whole number from 0 to 20",
        "LAMBDO_EVENTS_PER_MACHINE is 'many'; it must be a whole number from 1 to 1000",
        "LAMBDO_LOG_FORMAT is 'xml'; allowed are: text, json",
        "LAMBDO_LAUNCH_RATE is 'nan'; it must be a number from 0.01 to 1000.0",
    ]


def test_a_secret_does_not_show_itself() -> None:
    settings = read_settings({"LAMBDO_FLY_TOKEN": "planted-token"})

    assert "planted-token" not in f"{settings} {settings!r} {settings.fly_token}"
    assert repr(Secret("planted-token")) == "***"


def test_the_routers_own_server_listens_everywhere_unless_told_otherwise() -> None:
    settings = read_settings({})

    assert (settings.admin_host, settings.admin_port) == ("::", 9091)
    assert (settings.admin_token, settings.admin_hosts) == (None, ())


def test_where_the_routers_own_server_is_and_what_it_is_called_can_be_set() -> None:
    settings = read_settings(
        {
            "LAMBDO_ADMIN_HOST": "fdaa::3",
            "LAMBDO_ADMIN_PORT": "9000",
            "LAMBDO_ADMIN_TOKEN": "0123456789abcdef",
            "LAMBDO_ADMIN_HOSTS": "router.example.com, other",
            "FLY_APP_NAME": "router",
            "FLY_MACHINE_ID": "d8901",
        }
    )

    assert (settings.admin_host, settings.admin_port) == ("fdaa::3", 9000)
    assert settings.admin_hosts == ("router.example.com", "other", "router.fly.dev")
    assert settings.admin_token is not None
    assert settings.admin_token.reveal() == "0123456789abcdef"
    assert "0123456789abcdef" not in repr(settings)
    assert settings.report_url == "http://d8901.vm.router.internal:9000"


def test_machines_cannot_be_told_of_a_port_that_nobody_knows() -> None:
    environment = {"FLY_APP_NAME": "router", "FLY_MACHINE_ID": "d8901", "LAMBDO_ADMIN_PORT": "0"}

    assert read_settings(environment).report_url is None


@pytest.mark.parametrize(
    "token", ["0123456789abcde", "0123456789abcdef\u00e9", "0123456789\tabcdef"]
)
def test_a_token_that_is_weak_or_fits_no_header_is_refused_and_not_told(token: str) -> None:
    with pytest.raises(SettingsError, match="LAMBDO_ADMIN_TOKEN must have at least 16") as error:
        read_settings({"LAMBDO_ADMIN_TOKEN": token})
    assert token not in str(error.value)


def test_what_is_shown_of_the_settings_has_no_secret_in_it() -> None:
    settings = read_settings(
        {
            "LAMBDO_FLY_TOKEN": "planted-fly-token",
            "LAMBDO_ADMIN_TOKEN": "planted-admin-token",
            "FLY_API_HOSTNAME": "https://user:planted@fly.internal:1/x@y",
            "LAMBDO_REPORT_URL": "http://planted@router.internal:9091",
            "LAMBDO_SQS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/q",
            "LAMBDO_GRACE": "7",
        }
    )
    shown = without_secrets(settings)

    assert "planted" not in repr(shown)
    assert (shown["fly_token"], shown["admin_token"]) == ("set", "set")
    assert shown["fly_api"] == "https://***@fly.internal:1/x@y"
    assert shown["queue_url"] == "https://sqs.us-east-1.amazonaws.com/1/q"
    assert shown["grace"] == 7.0
    assert without_secrets(read_settings({}))["fly_token"] is None
