import pytest

from goalcut.report import write_report

PLOTS = {"full_directory": 19, "digits_full": 32}
# Milliseconds: on busy cores a page of thirty plots takes more than the usual half minute.
_PATIENCE = 180_000


@pytest.fixture(scope="module", params=list(PLOTS))
def directory(request):
    """A run of a maze agent's, and one of a classifier's."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def plots(directory):
    return PLOTS["digits_full" if "digits" in directory.name else "full_directory"]


@pytest.fixture(scope="module")
def opened(browser, directory, plots):
    """The page, the requests it made, and what it complained of; images within the page are no requests."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(_PATIENCE)
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(write_report(directory).as_uri())
    page.locator(".plot.js-plotly-plot").nth(plots - 1).wait_for(state="attached")
    yield page, requests, complaints
    page.close()


def test_the_page_asks_for_nothing_but_itself(opened, directory):
    _, requests, complaints = opened
    assert [url for url in requests if not url.startswith("data:")] == [(directory / "report.html").as_uri()]
    assert complaints == []


def test_every_plot_is_drawn(opened, plots):
    page, _, _ = opened
    drawn = "plots => plots.every(plot => plot.querySelector('.main-svg') && plot.clientWidth > 100)"
    assert page.eval_on_selector_all(".plot", drawn)
    assert page.locator(".plot").count() == plots


def test_every_picture_is_drawn(opened, directory):
    page, _, _ = opened
    assert page.locator("img").count() == (15 if "digits" in directory.name else 0)
    drawn = (
        "images => images.every(image => image.complete && image.naturalWidth > 0 && image.clientWidth > 50)"
    )
    assert page.eval_on_selector_all("img", drawn)


def test_no_plot_links_to_a_cloud_editor(opened):
    page, _, _ = opened
    titles = page.eval_on_selector_all(".modebar-btn", "buttons => buttons.map(b => b.dataset.title || '')")
    assert titles
    assert not [
        title for title in titles if any(word in title for word in ("Edit", "Cloud", "Produced", "Studio"))
    ]


def test_the_page_is_never_wider_than_its_window(opened):
    page, _, _ = opened
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        # Plots follow the window a little later; the page's policy forbids the eval of wait_for_function.
        for _ in range(100):
            if page.evaluate("document.documentElement.scrollWidth") <= width:
                break
            page.wait_for_timeout(100)
        else:
            pytest.fail(f"the page is wider than {width} pixels")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_the_table_of_cuts_sorts_both_ways_and_back(opened):
    page, _, _ = opened
    heading = page.locator("#cuts-table thead th", has_text="selectivity")
    column = "rows => rows.map(row => row.cells[6].dataset.value)"
    before = page.eval_on_selector_all("#cuts-table tbody tr", column)
    seen = []
    for _ in range(3):
        heading.click()
        seen.append(page.eval_on_selector_all("#cuts-table tbody tr", column))
    numbers = [[float(value) for value in values] for values in seen]
    assert numbers[0] == sorted(numbers[0], reverse=True)
    assert numbers[1] == sorted(numbers[1])
    assert seen[2] == before


def test_plots_over_the_same_time_zoom_together(opened):
    page, _, _ = opened
    page.evaluate("Plotly.relayout(document.querySelector('.linked .plot'), {'xaxis.range': [0, 0.0001]})")
    ends = "plots => plots.map(plot => plot.layout.xaxis.range[1])"
    assert page.eval_on_selector_all(".linked .plot", ends) == [0.0001] * 3
