import pytest


@pytest.fixture(scope="session")
def fit(handmade):
    return handmade.fit()
