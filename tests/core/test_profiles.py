import json

import pytest
from building import profile, text
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.core.message import Attribute
from lambdo_router.core.profile import SIZES, Guest, OverrideDenied, Overrides, normalise_image

DIGEST = "@sha256:" + "0" * 64


def test_the_size_table_is_flys() -> None:
    assert len(SIZES) == 14
    assert SIZES["shared-cpu-1x"].guest == Guest("shared", 1, 256)
    assert SIZES["shared-cpu-8x"].max_memory_mb == 16384
    assert SIZES["performance-2x"].guest == Guest("performance", 2, 4096)
    assert SIZES["performance-16x"].max_memory_mb == 131072


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.25", "docker.io/library/nginx:1.25"),
        ("acme/tool", "docker.io/acme/tool:latest"),
        ("registry.fly.io/jobs:thumbs", "registry.fly.io/jobs:thumbs"),
        ("registry.fly.io/jobs" + DIGEST, "registry.fly.io/jobs" + DIGEST),
        ("registry.fly.io/jobs:1" + DIGEST, "registry.fly.io/jobs:1" + DIGEST),
        ("localhost:5000/x", "localhost:5000/x:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
    ],
)
def test_an_image_reference_in_full(written: str, full: str) -> None:
    assert normalise_image(written) == full


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "a b",
        "UPPER/x",
        "x:",
        "x@sha256:12",
        "http://x/y",
        "x/../y",
        "x\n",
        "/x",
        "é",
        "x" * 600,
    ],
)
def test_what_is_no_image_reference(written: str) -> None:
    assert normalise_image(written) is None


def test_without_overrides_a_sender_chooses_nothing() -> None:
    wishes = {"image": text("evil.example/x:1"), "size": text("performance-16x")}
    assert Overrides().apply(profile(), wishes) == profile()


def test_allowed_wishes_become_part_of_the_profile() -> None:
    overrides = Overrides(("registry.fly.io/jobs:*",), ("performance-2x",), command=True)
    wishes = {
        "image": text("registry.fly.io/jobs:2"),
        "size": text("performance-2x"),
        "command": text('["node", "x.js"]'),
    }

    chosen = overrides.apply(profile(), wishes)

    assert chosen == profile(
        image="registry.fly.io/jobs:2", size="performance-2x", command=("node", "x.js")
    )


@pytest.mark.parametrize(
    ("overrides", "name", "value", "said"),
    [
        pytest.param(
            Overrides(image=("registry.fly.io/jobs:*",)),
            "image",
            text("registry.fly.io/jobs-evil:1"),
            "allowed are: registry.fly.io/jobs:*",
            id="image-outside-the-glob",
        ),
        pytest.param(
            Overrides(image=("jobs:*",)),
            "image",
            text("jobs:1"),
            "allowed are: jobs:*",
            id="globs-are-matched-on-the-whole-normalised-reference",
        ),
        pytest.param(
            Overrides(image=("*",)), "image", text(""), "no image reference", id="empty-image"
        ),
        pytest.param(
            Overrides(size=("shared-cpu-1x",)),
            "size",
            text("performance-16x"),
            "allowed are: shared-cpu-1x",
            id="size-not-listed",
        ),
        pytest.param(
            Overrides(command=True), "command", text(""), "JSON array", id="empty-command"
        ),
        pytest.param(Overrides(command=True), "command", text("[]"), "JSON array", id="no-program"),
        pytest.param(
            Overrides(command=True), "command", text('[""]'), "empty", id="nameless-program"
        ),
        pytest.param(Overrides(command=True), "command", text("[1]"), "strings", id="numbers"),
        pytest.param(Overrides(command=True), "command", text("rm -rf"), "JSON array", id="shell"),
        pytest.param(
            Overrides(command=True), "command", text("[" * 100_000), "JSON array", id="depth-bomb"
        ),
        pytest.param(
            Overrides(command=True),
            "command",
            text('["node", "\\ud800"]'),
            '["node", "index.js"] (an escape \\uD800 to \\uDFFF that is not half of a pair, '
            "line 1 column 11)",
            id="half-a-surrogate-pair",
        ),
        pytest.param(
            Overrides(command=True), "command", text('["\ud800"]'), "JSON array", id="raw-half"
        ),
        pytest.param(
            Overrides(image=("*",)), "image", text("x:\ud800"), "no image reference", id="half-tag"
        ),
        pytest.param(
            Overrides(size=("shared-cpu-1x",)),
            "size",
            text("\ud800"),
            "allowed are: shared-cpu-1x",
            id="half-a-size",
        ),
        pytest.param(
            Overrides(command=(("node", "a.js"),)),
            "command",
            text('["node", "b.js"]'),
            'must begin with one of: ["node", "a.js"]',
            id="another-beginning",
        ),
        pytest.param(
            Overrides(command=True), "command", Attribute("Binary", b"[]"), "Binary", id="binary"
        ),
    ],
)
def test_a_wish_that_is_not_allowed_is_denied(
    overrides: Overrides, name: str, value: Attribute, said: str
) -> None:
    with pytest.raises(OverrideDenied) as denied:
        overrides.apply(profile(), {name: value})

    assert f"`{name}`" in str(denied.value)
    assert said in str(denied.value)


def test_a_message_must_bring_an_image_where_the_profile_has_none() -> None:
    overrides = Overrides(image=("*",))
    with pytest.raises(OverrideDenied, match="no attribute `image`"):
        overrides.apply(profile(image=""), {})


def test_what_a_sender_chooses_is_shown_and_what_a_variable_holds_is_not() -> None:
    masked = profile(image="${IMAGE}", command=("run", "${KEY}"), env=(("A", "${A}"),))
    secret = profile(image="hidden:1", command=("run", "key1"), env=(("A", "abc"),), masked=masked)
    overrides = Overrides(
        image=("x.io/hidden:*",), command=True, masked=Overrides(("${GLOB}",), command=True)
    )

    own = overrides.apply(secret, {"command": text('["mine"]')})
    assert own.public.command == ("mine",)
    assert (own.public.image, own.public.env) == ("${IMAGE}", (("A", "${A}"),))
    assert own.within(own.app).public.image == "${IMAGE}"
    assert secret.secrets == (("hidden:1", "${IMAGE}"), ("key1", "${KEY}"))
    with pytest.raises(OverrideDenied, match=r"allowed are: \$\{GLOB\}$"):
        overrides.apply(secret, {"image": text("x.io/other:1")})


def test_an_allowed_beginning_takes_any_further_argument() -> None:
    overrides = Overrides(command=(("node", "a.js"),))
    chosen = overrides.apply(profile(), {"command": text('["node", "a.js", "--fast"]')})
    assert chosen.command == ("node", "a.js", "--fast")


# `st.text` makes no surrogates, whatever alphabet it is given.
ARGUMENTS = st.lists(st.sampled_from("aé\0\ud83d\ude00")).map("".join) | st.text()


@given(st.text() | st.lists(ARGUMENTS, min_size=1).map(json.dumps))
def test_a_chosen_command_is_text_that_every_program_reads(wish: str) -> None:
    try:
        chosen = Overrides(command=True).apply(profile(), {"command": text(wish)})
    except OverrideDenied:
        return

    assert chosen.command
    assert b"\0" not in "".join(chosen.command).encode()


@given(
    st.dictionaries(
        st.sampled_from(["image", "size", "command", "env", "files", "app", "region", "name"]),
        st.one_of(
            st.text(),
            st.sampled_from(["registry.fly.io/jobs:7", "performance-2x", '["node","a.js","x"]']),
            st.lists(st.text()).map(json.dumps),
        ).map(text),
    )
)
def test_whatever_a_sender_writes_only_listed_values_get_through(
    attributes: dict[str, Attribute],
) -> None:
    overrides = Overrides(
        ("registry.fly.io/jobs:*",), ("performance-2x",), command=(("node", "a.js"),)
    )
    standard = profile()
    try:
        chosen = overrides.apply(standard, attributes)
    except OverrideDenied:
        return

    assert chosen.image == standard.image or chosen.image.startswith("registry.fly.io/jobs:")
    assert chosen.size in (standard.size, "performance-2x")
    assert chosen.guest == SIZES[chosen.size].guest
    assert chosen.command is None or chosen.command[:2] == ("node", "a.js")
    assert (chosen.app, chosen.env, chosen.region) == (standard.app, standard.env, standard.region)
