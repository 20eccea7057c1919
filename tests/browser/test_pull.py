"""A network that a recipe names and that is not here: offered on the page, pulled on request, the recipe restored after it."""

from __future__ import annotations

import json

import pytest

from studio.core.recipe import Recipe
from tests.browser.conftest import DESKTOP, PHONE, Visitor, running_studio
from tests.browser.test_character import fits
from tests.browser.test_gallery import paste, says
from tests.faults.hub_server import FakeHub
from tests.tiny import COMMIT
from tests.ui.stand_ins import HUB_REPO

LION, TIGER = "cyclegan-lion-64", "cyclegan-tiger-64"


@pytest.fixture
def hub():
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def pulling(hub, tmp_path, browser):
    """A visitor of a studio whose networks are also on the hub, the studio's cards, and the folder of their files."""
    quiet = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": str(tmp_path / "hf")}
    with running_studio(tmp_path, "--public", stand_ins=True, HF_ENDPOINT=hub.endpoint, **quiet) as url:
        folder = tmp_path / "stand-ins"
        cards = {card["id"]: card for card in json.loads((folder / "index.json").read_text())["cards"]}
        hub.repos[HUB_REPO] = {COMMIT: {card["file"]: (folder / card["file"]).read_bytes() for card in cards.values()}}
        visitor = Visitor(browser, url, DESKTOP)
        yield visitor, cards, folder
        visitor.context.close()
        assert not visitor.real_troubles()


def recipe_of(*cards) -> Recipe:
    named = {card["id"]: card["sha256"] for card in cards}
    return Recipe(tab="character", verb="translate", parameters={"animals": ["lion"], "strength": 0.5}, checkpoints=named)


def offer(visitor):
    return visitor.page.locator(".pull-button:visible")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_network_that_is_gone_is_pulled_on_request_and_the_recipe_restored(pulling, hub, viewport):
    visitor, cards, folder = pulling
    visitor.page.set_viewport_size(viewport)
    (folder / cards[LION]["file"]).unlink()
    hub.delay = 1.5
    paste(visitor, recipe_of(cards[LION]).to_json())
    says(visitor, f"Its network {LION} is not on this machine.")
    assert offer(visitor).inner_text().startswith(f"Pull {LION} (0.")
    assert visitor.page.locator("#animals input:checked").count() == 1
    visitor.picture(f"pull-offer-{viewport['width']}")
    assert fits(visitor)
    offer(visitor).click()
    says(visitor, "Pulling: ")
    visitor.page.wait_for_selector(".pull-stop:visible")
    visitor.picture(f"pulling-{viewport['width']}")
    visitor.page.wait_for_selector(".pull-offer", state="hidden")
    says(visitor, "The settings are restored.")
    assert [path.name.endswith(cards[LION]["file"]) for path in (folder / "cache").iterdir()] == [True]


def test_a_pull_that_is_stopped_or_fails_loses_nothing_and_can_be_tried_again(pulling, hub):
    visitor, cards, folder = pulling
    for card in (LION, TIGER):
        (folder / cards[card]["file"]).unlink()
    hub.delay = 3
    visitor.open(f"{visitor.page.url}?r={recipe_of(cards[LION], cards[TIGER]).to_link()}")
    says(visitor, f"Its networks {LION} and {TIGER} are not on this machine.")
    offer(visitor).click()
    visitor.page.click(".pull-stop:visible")
    says(visitor, "Stopped: the settings stay as they are.")
    hub.status, hub.delay = 503, 0
    offer(visitor).click()
    says(visitor, "wait a little and run")
    assert visitor.page.locator("#animals input:checked").count() == 1
    hub.status = 0
    offer(visitor).click()
    visitor.page.wait_for_selector(".pull-offer", state="hidden")
    assert len(list((folder / "cache").iterdir())) == 2
