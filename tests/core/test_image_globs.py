import pytest
from building import profile, text
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.core.profile import (
    OverrideDenied,
    Overrides,
    image_matches,
    normalise_image,
)

DIGEST = "@sha256:" + "0" * 64

hosts = st.sampled_from(["a.io", "evil.io", "x.a.io", "a.io.evil.io", "localhost", "a.io:5000"])
names = st.sampled_from(["app", "a.io/app", "x/registry.a.io/app", "app-2", "team/app"])
tags = st.sampled_from(["", ":1", ":v1", ":latest"])
digests = st.sampled_from(["", DIGEST, "@sha256:" + "f" * 64])
references = st.builds("{}/{}{}{}".format, hosts, names, tags, digests).map(
    lambda wish: normalise_image(wish) or ""
)
with_stars = st.text(alphabet="a.io:x/v1*", max_size=12)
globs = st.builds(
    "{}/{}{}{}".format,
    st.one_of(hosts, st.sampled_from(["*.a.io", "*a.io", "a.io*", "*"])),
    st.one_of(names, st.sampled_from(["*", "app*", "*/app", "x*"]), with_stars),
    st.sampled_from(["", ":*", ":v*", "*"]),
    st.sampled_from(["", "@*", "@sha256:*", DIGEST]),
)


def host(reference: str) -> str:
    return reference.partition("/")[0]


@given(globs, references)
def test_a_host_without_a_star_is_the_only_one_that_a_pattern_lets_in(
    glob: str, reference: str
) -> None:
    if "*" not in host(glob) and image_matches(glob, reference):
        assert host(reference) == host(glob)


@given(globs, references)
def test_a_star_in_the_host_stays_within_the_host(glob: str, reference: str) -> None:
    if image_matches(glob, reference):
        first, last = host(glob).split("*")[0], host(glob).split("*")[-1]
        assert host(reference).startswith(first)
        assert host(reference).endswith(last)


@given(globs, references)
def test_a_digest_needs_a_pattern_that_speaks_of_one(glob: str, reference: str) -> None:
    if image_matches(glob, reference):
        assert ("@" in reference) == ("@" in glob)


@given(references)
def test_a_reference_matches_itself_and_a_star_alone_matches_every_reference(
    reference: str,
) -> None:
    assert image_matches(reference, reference)
    assert image_matches("*", reference)


@pytest.mark.parametrize(
    ("glob", "wish", "allowed"),
    [
        ("*.example.com/app:*", "eu.example.com/app:1", True),
        ("*.example.com/app:*", "evil.io/registry.example.com/app:1", False),
        ("registry.fly.io/app:v*", "registry.fly.io/app:v1", True),
        ("registry.fly.io/app:v*", f"registry.fly.io/app:v1{DIGEST}", False),
        ("registry.fly.io/app:*", f"registry.fly.io/app{DIGEST}", False),
        ("registry.fly.io/app@*", f"registry.fly.io/app{DIGEST}", True),
        ("registry.fly.io/app:v*@*", f"registry.fly.io/app:v1{DIGEST}", True),
        ("registry.fly.io/app:v*@*", f"registry.fly.io/app{DIGEST}", False),
        ("registry.fly.io/acme-*", "registry.fly.io/acme-jobs/x:1", True),
        ("registry.fly.io/acme-*", f"registry.fly.io/acme-jobs{DIGEST}", False),
        ("registry.fly.io*", "registry.fly.io/app:1", False),
        ("registry.fly.io*", "registry.fly.io.evil.io/app:1", False),
        ("*/app:1", "evil.io/x/app:1", False),
        ("*", f"evil.io/app{DIGEST}", True),
    ],
)
def test_what_senders_may_name(glob: str, wish: str, *, allowed: bool) -> None:
    overrides = Overrides(image=(glob,))
    try:
        assert overrides.apply(profile(), {"image": text(wish)}).image == wish
    except OverrideDenied:
        assert not allowed
    else:
        assert allowed
