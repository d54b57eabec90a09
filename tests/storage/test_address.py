"""Which settings name an object store."""

import pytest

from storage.address import BadAddress, is_url


@pytest.mark.parametrize("address", ["s3://bucket", "s3://bucket/a/b", "gs://bucket/a", "az://container/a"])
def test_the_address_of_a_bucket_is_a_url(address: str) -> None:
    assert is_url(address)


@pytest.mark.parametrize("address", ["var/registry", "/srv/registry", "./s3", "s3:/bucket", "C:\\registry", ""])
def test_a_path_is_none(address: str) -> None:
    assert not is_url(address)


@pytest.mark.parametrize("address", ["http://host/a", "S3://bucket", "s3://", "s3:///a", "file:///srv"])
def test_any_other_address_is_refused_in_words(address: str) -> None:
    with pytest.raises(BadAddress, match=r"names no place that can be used: give a folder, or one of s3://bucket/pre"):
        is_url(address)
